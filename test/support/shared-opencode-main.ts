import { startServe } from "./opencode.ts";
import { createHome } from "./opencode-home.ts";
import type { SharedOpencode } from "./shared-opencode.ts";

// Started by the runner: says in one line where its OpenCode is, and ends with it when standard input ends.
const home = createHome();
const server = await startServe(home);
console.log(JSON.stringify({ url: server.url, pid: server.pid, home } satisfies SharedOpencode));
process.stdin.resume().once("end", async () => {
  await server.stop();
  await home.remove();
  process.exit(0);
});

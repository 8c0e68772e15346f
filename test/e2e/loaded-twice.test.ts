import { expect } from "bun:test";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { restart } from "../support/opencode.ts";
import { write } from "../support/opencode-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { PACKAGE, startSetup } from "../support/test-setup.ts";
import { shell, start, task, turn, wait } from "../support/turns.ts";

sandboxTest("named in several ways, the plugin is loaded once, with the first options, and says so", async () => {
  const again = { plugin: [[`${pathToFileURL(PACKAGE)}/`, { maxRunningJobs: 7 }]] };
  const script = `export { default } from ${JSON.stringify(pathToFileURL(join(PACKAGE, "dist/index.js")).href)};\n`;
  const files = { "opencode.json": JSON.stringify(again), ".opencode/plugin/pa.js": script };
  const setup = await startSetup({ provider: "local", maxRunningJobs: 3 }, { files });
  const { home } = setup;
  const copy = join(home.root, "copy");
  mkdirSync(copy);
  for (const name of ["dist", "skills", "package.json"])
    cpSync(join(PACKAGE, name), join(copy, name), { recursive: true });
  symlinkSync(join(PACKAGE, "node_modules"), join(copy, "node_modules"));
  write(home.project, ".opencode/opencode.json", JSON.stringify({ plugin: [copy] }));
  setup.server = await restart(setup.server, home);

  const { server } = setup;
  const session = await server.createSession();
  const job = task("one", shell("echo in a sandbox"), say("done"));
  const [, waited] = await turn(server, session.id, start(job), wait());
  const [done] = waited?.metadata.finished ?? [];
  expect(done).toMatchObject({ state: "completed", result: "done", notes: [] });
  const [ran] = await server.toolParts(done?.sessionID ?? "", "sandbox_exec");
  expect(ran?.state).toMatchObject({ status: "completed", output: expect.stringContaining("in a sandbox") });
  expect(setup.model.requests.find(({ tools }) => tools.includes("agents_start"))?.tools).not.toContain("sandbox_exec");
  const toasts = server.events.all.filter(({ type }) => type === "tui.toast.show");
  const told = toasts.filter((toast) => JSON.stringify(toast).includes("more than once"));
  expect(told).toHaveLength(1);
  expect(JSON.stringify(told)).toContain(`loaded from ${PACKAGE}, and again from ${copy}: only the first`);
  await setup.stop();
});

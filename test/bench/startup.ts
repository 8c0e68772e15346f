import { startModelServer } from "../support/model-server.ts";
import { startServe } from "../support/opencode.ts";
import { createHome } from "../support/opencode-home.ts";
import { scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { alternate, report, timed } from "./stats.ts";

const EMPTY = 'export default { id: "empty", server: async () => ({}) }';

/** Times the start of OpenCode with and without this plugin, until the first session exists. */
export async function benchStartup(rounds: number): Promise<void> {
  const model = await startModelServer(scriptedModel);
  const start = async (plugin: string) => {
    const home = createHome({ modelUrl: model.url, plugins: [plugin], homeFiles: { "empty.js": EMPTY } });
    let server: Awaited<ReturnType<typeof startServe>> | null = null;
    const ms = await timed(async () => {
      server = await startServe(home);
      await server.createSession();
    });
    await (server as unknown as { stop(): Promise<void> }).stop();
    await home.remove();
    return ms;
  };
  await start(PACKAGE); // the very first start reads the files from disk
  const [ours, empty] = await alternate(
    rounds,
    () => start(PACKAGE),
    () => start("../../empty.js"),
  );
  report(
    "Start of `opencode serve` until a session exists",
    { name: "with this plugin", samples: ours },
    { name: "with an empty plugin", samples: empty },
  );
  await model.stop();
}

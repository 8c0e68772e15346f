import { startModelServer } from "../support/model-server.ts";
import { startServe } from "../support/opencode.ts";
import { createHome } from "../support/opencode-home.ts";
import { scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui, type Terminal } from "../support/tmux.ts";
import { alternate, report, timed } from "./stats.ts";

const EMPTY = 'export default { id: "empty", server: async () => ({}) }';

const EMPTY_IN_TUI = 'export default { id: "empty", tui: async () => {} }';

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
  if (hasTmux) await benchTuiStartup(rounds, model.url);
  await model.stop();
}

/** Beside an empty plugin in both places, so that what is compared is the part in the terminal UI alone. */
async function benchTuiStartup(rounds: number, modelUrl: string): Promise<void> {
  const start = async (tuiPlugin: string) => {
    const homeFiles = {
      "empty.js": EMPTY,
      "empty-tui/index.js": EMPTY_IN_TUI,
      "empty-tui/package.json": EMPTY_PACKAGE,
    };
    const home = createHome({ modelUrl, plugins: ["../../empty.js"], tuiPlugins: [tuiPlugin], homeFiles });
    let terminal: Terminal | null = null;
    const ms = await timed(async () => {
      terminal = await startTui(home);
    });
    await (terminal as unknown as Terminal).close();
    await home.remove();
    return ms;
  };
  await start(PACKAGE);
  const [ours, empty] = await alternate(
    rounds,
    () => start(PACKAGE),
    () => start("../../empty-tui"),
  );
  report(
    "Start of the terminal UI until its prompt is there",
    { name: "with this plugin's part", samples: ours },
    { name: "with an empty part", samples: empty },
  );
}

const EMPTY_PACKAGE = '{ "name": "empty", "version": "1.0.0", "type": "module", "exports": { "./tui": "./index.js" } }';

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import type { JobView } from "../../src/views/job-view.ts";
import { closed, opened } from "./ledger.ts";
import { type ModelServer, startModelServer } from "./model-server.ts";
import { type OpencodeServer, openProject, startServe } from "./opencode.ts";
import { createHome, modelConfig, type OpencodeHome } from "./opencode-home.ts";
import { createProject, write } from "./opencode-project.ts";
import { scriptedModel } from "./scripted.ts";
import { sharedOpencode } from "./shared-opencode.ts";

/** The built package, enabled by its folder as a user would enable a checkout. */
export const PACKAGE = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

export interface TestSetup {
  readonly model: ModelServer;
  readonly home: OpencodeHome;
  server: OpencodeServer;
  stop(): Promise<void>;
}

export type HomeSettings = Omit<NonNullable<Parameters<typeof createHome>[0]>, "modelUrl" | "plugins">;

/** Most tests are about other things than the project's files: environments are empty unless told otherwise. */
function emptyEnvironments(given: unknown): Record<string, unknown> {
  const isPlain = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (given !== undefined && !(isPlain(given) && Object.values(given as object).every(isPlain)))
    return { environments: given };
  const named = Object.entries({ default: {}, ...(given as Record<string, object> | undefined) });
  const emptied = named.map(([name, environment]) => [name, { workspace: "empty", ...environment }]);
  return { environments: Object.fromEntries(emptied) };
}

const pluginWith = (options: Record<string, unknown>): [string, Record<string, unknown>] => [
  PACKAGE,
  { parkAfterSeconds: 0, ...options, ...emptyEnvironments(options.environments) },
];

/** OpenCode with the plugin and the scripted model. Parks at once unless told otherwise, so that tests see it. */
export async function startSetup(
  options: Record<string, unknown> = {},
  settings: HomeSettings = {},
  serve: Parameters<typeof startServe>[1] = {},
): Promise<TestSetup> {
  const model = await startModelServer(scriptedModel);
  const home = createHome({
    ...settings,
    modelUrl: model.url,
    plugins: [pluginWith(options)],
  });
  const setup = {
    model,
    home,
    server: await startServe(home, serve),
    async stop() {
      await setup.server.stop();
      await home.remove();
      await model.stop();
    },
  };
  return setup;
}

/**
 * A project of its own, with options and state of its own, in the OpenCode process of another setup. For tests that
 * depend neither on the environment of the process nor on its end.
 * @param files of the project, by relative path
 */
export async function startSetupIn(
  host: TestSetup,
  options: Record<string, unknown> = {},
  files: Record<string, string> = {},
): Promise<TestSetup> {
  const root = mkdtempSync(join(host.home.root, "project-"));
  const home = projectHome(host.home, root, options, { files, config: modelConfig(host.model.url) });
  const server = await openProject(host.server, home);
  return { model: host.model, home, server, stop: server.stop }; // its folder is removed together with the host's
}

/** A project in the OpenCode process that files of tests share, with a scripted model of its own. */
export async function startProject(
  options: Record<string, unknown> = {},
  { files = {}, config = {} }: Pick<HomeSettings, "files" | "config"> = {},
): Promise<TestSetup> {
  const host = await sharedOpencode();
  const model = await startModelServer(scriptedModel);
  const root = mkdtempSync(join(tmpdir(), "oc-project-"));
  opened("project", root, () => rmSync(root, { recursive: true, force: true }));
  const home = projectHome(host.home, root, options, { files, config: { ...modelConfig(model.url), ...config } });
  const server = await openProject(host, home);
  return {
    model,
    home,
    server,
    async stop() {
      await server.stop();
      rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }); // a git may still write here
      closed("project", root);
      await host.release();
      await model.stop();
    },
  };
}

/** The home of `host` with another project: its options and its state lie in `root`. */
function projectHome(
  host: OpencodeHome,
  root: string,
  options: Record<string, unknown>,
  { files = {}, config = {} }: Pick<HomeSettings, "files" | "config">,
): OpencodeHome {
  const project = join(root, "project");
  const stateDir = join(root, "state");
  const git = createProject(project, host.env, files);
  const plugin = [pluginWith({ stateDir, ...options })];
  write(project, "opencode.json", JSON.stringify({ ...config, plugin }));
  return { ...host, root, project, stateDir, git, remove: () => Promise.resolve() };
}

/** Metadata of a completed call of `tool` in a session: the last one, or the `index`th. */
export async function metadataOf(server: OpencodeServer, sessionID: string, tool: string, index = -1) {
  const parts = await server.toolParts(sessionID, tool);
  const state = parts.at(index)?.state;
  if (state?.status !== "completed") throw new Error(`${tool} did not complete: ${JSON.stringify(state)}`);
  return state.metadata as Record<string, unknown> & { jobs?: JobView[]; finished?: JobView[]; pending?: JobView[] };
}

export const outputOf = (part: ToolPart | undefined): string => {
  if (part?.state.status !== "completed") throw new Error(`not completed: ${JSON.stringify(part?.state)}`);
  return part.state.output;
};

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { closed, opened } from "./ledger.ts";
import { createProject, seedConfigDir, write } from "./opencode-project.ts";
import { until } from "./wait.ts";

export const repositoryRoot = fileURLToPath(new URL("../..", import.meta.url));
export const opencodeBinary = join(repositoryRoot, "node_modules/opencode-ai/bin/opencode.exe");

export interface HomeOptions {
  /** `ModelServer.url`; without one no model is configured. */
  modelUrl?: string;
  /** As in `opencode.json`: absolute path, or path and options. */
  plugins?: (string | [path: string, options: Record<string, unknown>])[];
  /** Plugins in `tui.json`, in the same format. */
  tuiPlugins?: HomeOptions["plugins"];
  /** Merged over the defaults, object by object; arrays replace. */
  config?: Record<string, unknown>;
  /** Further project files by relative path; part of the first commit. */
  files?: Record<string, string>;
  /** Default "project", which is beside HOME; "home/…" is inside. */
  projectFolder?: string;
  /** Further files by path relative to HOME. */
  homeFiles?: Record<string, string>;
  /** The host's own git snapshots of the project. Default false. */
  snapshot?: boolean;
  /** `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
}

export interface OpencodeHome {
  readonly root: string;
  readonly home: string;
  readonly project: string;
  readonly configDir: string;
  readonly dataDir: string;
  /** The default folder for the state of the plugin. */
  readonly stateDir: string;
  readonly logFile: string;
  readonly env: Record<string, string>;
  git(...args: string[]): string;
  remove(): Promise<void>;
}

/** A temporary HOME with everything that OpenCode needs to start offline, and a project with one commit. */
export function createHome(options: HomeOptions = {}): OpencodeHome {
  const root = mkdtempSync(join(tmpdir(), "oc-"));
  opened("home", root, () => rmSync(root, { recursive: true, force: true }));
  const home = join(root, "home");
  const project = join(root, options.projectFolder ?? "project");
  const configDir = join(home, ".config/opencode");
  const dataDir = join(home, ".local/share/opencode");
  const env = environment(home, options.env ?? {});

  write(home, ".gitconfig", "[user]\n\tname = Test User\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n");
  write(configDir, "opencode.json", JSON.stringify(merge(baseConfig(options), options.config ?? {}), null, 2));
  if (options.tuiPlugins) write(configDir, "tui.json", JSON.stringify({ plugin: options.tuiPlugins }, null, 2));
  for (const [path, text] of Object.entries(options.homeFiles ?? {})) write(home, path, text);

  // Without one on the search path the host downloads ripgrep into every new home.
  write(home, "bin/rg", "#!/bin/sh\nexit 1\n");
  chmodSync(join(home, "bin/rg"), 0o755);
  // The host reads its own list of the world's models for every directory: 5 seconds of CPU in which nothing is tested.
  write(home, "models.json", "{}");
  seedConfigDir(configDir);
  const git = createProject(project, env, options.files);

  return {
    root,
    home,
    project,
    configDir,
    dataDir,
    stateDir: join(dataDir, "parallel-agents"),
    logFile: join(dataDir, "log/opencode.log"),
    env,
    git,
    async remove() {
      // A git process of a killed host may still write here.
      await until(
        () => {
          rmSync(root, { recursive: true, force: true });
          return true;
        },
        { what: `${root} can be removed`, timeoutMs: 3_000 },
      );
      closed("home", root);
    },
  };
}

function baseConfig({ modelUrl, plugins = [], snapshot = false }: HomeOptions): Record<string, unknown> {
  const quiet = { share: "disabled", autoupdate: false, snapshot, lsp: false, formatter: false, plugin: plugins };
  return modelUrl === undefined ? quiet : { ...quiet, ...modelConfig(modelUrl) };
}

/** Configuration that knows the scripted model and no other. */
export function modelConfig(modelUrl: string): Record<string, unknown> {
  const model = (name: string, input: number, output: number) => ({
    name,
    tool_call: true,
    limit: { context: 100_000, output: 8_000 },
    cost: { input, output },
  });
  return {
    enabled_providers: ["mock"], // no free models of others
    model: "mock/m1",
    small_model: "mock/m1",
    provider: {
      mock: {
        npm: "@ai-sdk/openai-compatible",
        name: "mock",
        options: { baseURL: `${modelUrl}/v1`, apiKey: "x" },
        // USD per million tokens. The second one sees images.
        models: {
          m1: model("m1", 1, 2),
          m2: { ...model("m2", 10, 20), attachment: true, modalities: { input: ["text", "image"], output: ["text"] } },
        },
      },
    },
  };
}

/**
 * As users have it: of what npm adds to it for its scripts only Node, which is new enough. Local sandboxes are lent every
 * program on it, one by one.
 */
const searchPath = () => [
  join(repositoryRoot, "node_modules/node/bin"),
  ...(process.env.PATH ?? "").split(":").filter((folder) => !folder.includes("/node_modules/")),
];

/** Nothing of the surrounding environment but the search path: no credentials, no settings. */
function environment(home: string, extra: Record<string, string | undefined>): Record<string, string> {
  const all: Record<string, string | undefined> = {
    PATH: [...searchPath(), join(home, "bin")].join(":"),
    TMPDIR: process.env.TMPDIR,
    LANG: "C.UTF-8",
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_DATA_HOME: join(home, ".local/share"),
    XDG_CACHE_HOME: join(home, ".cache"),
    XDG_STATE_HOME: join(home, ".local/state"),
    GIT_CONFIG_NOSYSTEM: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_MODELS_PATH: join(home, "models.json"),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
    OPENCODE_DISABLE_EXTERNAL_SKILLS: "1",
    OPENCODE_DISABLE_CLAUDE_CODE: "1",
    OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER: "1",
    OPENCODE_DISABLE_FFF: "1",
    OPENCODE_DISABLE_MOUSE: "1",
    OPENCODE_DISABLE_TERMINAL_TITLE: "1",
    ...extra,
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function merge(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isRecord(old) && isRecord(value) ? merge(old, value) : value;
  }
  return merged;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { readConfigFile } from "./config-file.ts";
import { isObject, type Layer, mergeLayers, sourceOf } from "./layers.ts";
import { type ConfigProblem, findProblems, toProblem } from "./problems.ts";
import { type Options, optionsSchema } from "./schema.ts";

export type { ConfigProblem } from "./problems.ts";

type HostEnv = Readonly<Record<string, string | undefined>>;

export interface LoadRequest {
  /** What opencode.json gives beside the plugin's name; undefined when nothing. */
  readonly tuple: unknown;
  /** The project's directory, absolute. */
  readonly directory: string;
  /** Absolute, see `configHomeOf`. */
  readonly configHome: string;
  /** The host's environment; only HOME and XDG_DATA_HOME are read. */
  readonly env: HostEnv;
  /** Text of a file; rejects as `node:fs/promises` does. */
  readonly readFile: (path: string) => Promise<string>;
}

export type LoadedOptions =
  /** `sources`: the files and "opencode.json" that were read, weakest first. */
  | { readonly kind: "ok"; readonly options: Options; readonly sources: readonly string[] }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[]; readonly message: string };

/** What messages call the options tuple. */
const TUPLE = "opencode.json";
const FILE_NAME = "parallel-agents.jsonc";
const SHOWN_PROBLEMS = 8;

/** Reads, merges and checks all options: defaults, the user's file, the project's file, the tuple. Never throws. */
export async function loadOptions(request: LoadRequest): Promise<LoadedOptions> {
  try {
    return await load(request);
  } catch (error) {
    // Only junk no file can hold gets here, e.g. an object that throws when read, or one nested beyond the stack.
    const reason = error instanceof Error ? error.message : String(error);
    return invalid([toProblem("options", TUPLE, `something unreadable (${reason})`, "an object of options")]);
  }
}

/** `$XDG_CONFIG_HOME`, or `~/.config`. */
export const configHomeOf = (env: HostEnv): string => xdgHome(env.XDG_CONFIG_HOME, env, ".config");

async function load({ tuple, directory, configHome, env, readFile }: LoadRequest): Promise<LoadedOptions> {
  const files = [join(configHome, "opencode", FILE_NAME), join(directory, ".opencode", FILE_NAME)];
  const read = await Promise.all(files.map((path) => readConfigFile(path, readFile)));
  const layers: Layer[] = read.flatMap((file) => (file.kind === "read" ? [file.layer] : []));
  const problems = read.flatMap((file) => (file.kind === "invalid" ? [file.problem] : []));
  if (isObject(tuple)) layers.push({ source: TUPLE, value: tuple });
  else if (tuple !== undefined && tuple !== null) {
    problems.push(
      toProblem("options", TUPLE, Array.isArray(tuple) ? "a list" : `a ${typeof tuple}`, "an object of options"),
    );
  }

  const merged = mergeLayers(layers);
  const parsed = optionsSchema.safeParse(merged);
  problems.push(...findProblems(parsed.error, merged, layers));
  const stateDir = parsed.success ? toStateDir(parsed.data.stateDir, env) : "";
  if (stateDir === null) {
    const allowed = 'an absolute path, or one that begins with "~/"';
    problems.push(toProblem("stateDir", sourceOf(layers, ["stateDir"]), "a relative path", allowed));
  } else if (parsed.success && problems.length === 0) {
    const readOnlyPaths = parsed.data.local.readOnlyPaths.map((path) => withHome(path, env));
    const options = { ...parsed.data, stateDir, local: { ...parsed.data.local, readOnlyPaths } };
    return { kind: "ok", options, sources: layers.map(({ source }) => source) };
  }
  return invalid(problems);
}

function invalid(problems: readonly ConfigProblem[]): LoadedOptions {
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(({ message }) => `- ${message}`);
  const more = problems.length > SHOWN_PROBLEMS ? [`- and ${problems.length - SHOWN_PROBLEMS} more`] : [];
  return {
    kind: "invalid",
    problems,
    message: ["The options of opencode-parallel-agents are not valid:", ...shown, ...more].join("\n"),
  };
}

/** Absolute path of the state; null when the given one is relative. */
function toStateDir(given: string | null, env: HostEnv): string | null {
  if (given === null) return join(xdgHome(env.XDG_DATA_HOME, env, ".local", "share"), "opencode", "parallel-agents");
  const path = withHome(given, env);
  return isAbsolute(path) ? path : null;
}

const withHome = (given: string, env: HostEnv): string =>
  given === "~" || given.startsWith("~/") ? join(homeOf(env), given.slice(1)) : given;

// The XDG specification has relative values ignored.
const xdgHome = (given: string | undefined, env: HostEnv, ...fallback: string[]): string =>
  given !== undefined && isAbsolute(given) ? given : join(homeOf(env), ...fallback);

const homeOf = (env: HostEnv): string => (env.HOME !== undefined && isAbsolute(env.HOME) ? env.HOME : homedir());

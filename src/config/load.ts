import { plainName } from "../shared/plain-text.ts";
import { readConfigFile } from "./config-file.ts";
import type { HostFiles } from "./host-files.ts";
import { type HostEnv, projectRoots, realPathOf, withHome, xdgHome } from "./host-paths.ts";
import { isObject, type Layer, mergeLayers, sourceOf } from "./layers.ts";
import { type ConfigProblem, findProblems, toProblem } from "./problems.ts";
import {
  findMisnamed,
  isProjectConfigOff,
  projectFileIn,
  readProjectFile,
  trustIn,
  userFileIn,
} from "./project-file.ts";
import { type Options, optionsSchema, type ParsedOptions } from "./schema.ts";
import { toStateDir } from "./state-dir.ts";
import { type IgnoredOption, splitPermitted, tighten } from "./trust.ts";
import { renderIgnored, renderTightened } from "./trust-text.ts";

export type { ConfigProblem } from "./problems.ts";

export interface LoadRequest {
  /** The options beside the plugin's name in opencode.json; undefined = none. */
  readonly tuple: unknown;
  /** Name of their source in messages; default "opencode.json". */
  readonly tupleSource?: string;
  /** The project's directory, absolute; null = there is no project, so no project's file is read. */
  readonly directory: string | null;
  /** Absolute, see `configHomeOf`. */
  readonly configHome: string;
  /** The host's environment; only HOME, XDG_DATA_HOME and OPENCODE_DISABLE_PROJECT_CONFIG are read. */
  readonly env: HostEnv;
  readonly files: HostFiles;
}

export type LoadedOptions =
  | {
      readonly kind: "ok";
      readonly options: Options;
      /** Sources that were read, in order of increasing precedence. */
      readonly sources: readonly string[];
      /** Options of the project's file that are ignored. */
      readonly ignored: readonly IgnoredOption[];
      /** `ignored` as text for the user, a sentence or more each. */
      readonly notices: readonly string[];
      /** Further facts for a status, none of them a problem. */
      readonly remarks: readonly string[];
    }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[]; readonly message: string };

/** Name of the options tuple in messages. */
const TUPLE = "opencode.json";
const SHOWN_PROBLEMS = 8;

/** Reads, merges and checks all options: defaults, the user's file, the project's file, the tuple. Never throws. */
export async function loadOptions(request: LoadRequest): Promise<LoadedOptions> {
  try {
    return await load(request);
  } catch (error) {
    // Only values that no file can contain get here: an object that throws when read, or extreme nesting.
    const reason = error instanceof Error ? error.message : String(error);
    return invalid([toProblem("options", TUPLE, `something unreadable (${reason})`, "an object of options")]);
  }
}

/** `$XDG_CONFIG_HOME`, or `~/.config`. */
export const configHomeOf = (env: HostEnv): string => xdgHome(env.XDG_CONFIG_HOME, env, ".config");

async function load(request: LoadRequest): Promise<LoadedOptions> {
  const { directory, env, files } = request;
  const roots = directory === null ? [] : await projectRoots(directory, files);
  const users = await readUserLayers(request);
  const project = await readProject(request, roots, users);
  const found = [...users.problems, ...project.problems];
  const problems = [...new Map(found.map((problem) => [problem.message, problem])).values()]; // a problem may be found twice
  const { options: parsed } = project;
  if (parsed === null) return invalid(problems);
  const stateDir = await toStateDir(parsed.stateDir, roots, env, files);
  if (stateDir.kind === "bad") {
    const source = parsed.stateDir === null ? "the defaults" : sourceOf(project.layers, ["stateDir"]);
    problems.push(toProblem("stateDir", source, stateDir.found, stateDir.allowed));
  }
  if (stateDir.kind === "bad" || problems.length > 0) return invalid(problems);
  const readOnlyPaths = parsed.local.readOnlyPaths.map((path) => withHome(path, env));
  return {
    kind: "ok",
    options: { ...parsed, stateDir: stateDir.path, local: { ...parsed.local, readOnlyPaths } },
    sources: project.layers.map(({ source }) => source),
    ignored: project.ignored,
    notices: project.notices,
    remarks: project.remarks,
  };
}

/** The user's own layers (T2 and T3 of trust.ts): his file, and the tuple, which takes precedence. */
interface UserLayers {
  readonly file: Layer | null;
  readonly tuple: Layer | null;
  readonly problems: readonly ConfigProblem[];
  /** null = they are not valid. */
  readonly options: ParsedOptions | null;
}

async function readUserLayers({ tuple, tupleSource = TUPLE, configHome, files }: LoadRequest): Promise<UserLayers> {
  const path = userFileIn(configHome);
  const read = await readConfigFile(path, files);
  const problems = await findMisnamed(path, files);
  if (read.kind === "invalid") problems.push(read.problem);
  const file = read.kind === "read" ? read.layer : null;
  const given = isObject(tuple) ? { source: tupleSource, value: tuple } : null;
  if (given === null && tuple !== undefined && tuple !== null) {
    const found = Array.isArray(tuple) ? "a list" : `a ${typeof tuple}`;
    problems.push(toProblem("options", TUPLE, found, "an object of options"));
  }
  if (given?.value.trustedProjects !== undefined) {
    // An opencode.json may come with a repository, which must not vouch for itself.
    problems.push(toProblem("trustedProjects", TUPLE, "this option", `only in ${path}`));
  }
  const checked = check(present([file, given]));
  return { file, tuple: given, problems: [...problems, ...checked.problems], options: checked.options };
}

interface MergedLayers {
  readonly problems: readonly ConfigProblem[];
  readonly options: ParsedOptions | null;
  readonly layers: readonly Layer[];
  readonly ignored: readonly IgnoredOption[];
  readonly notices: readonly string[];
  readonly remarks: readonly string[];
}

async function readProject(request: LoadRequest, roots: readonly string[], users: UserLayers): Promise<MergedLayers> {
  const { directory, env, files, configHome } = request;
  const without = {
    problems: [],
    options: users.options,
    layers: present([users.file, users.tuple]),
    ...NO_NOTES,
  };
  if (directory === null || isProjectConfigOff(env)) return without;
  const path = projectFileIn(directory);
  const misnamed = await findMisnamed(path, files);
  if (misnamed.length > 0) return { ...without, problems: misnamed };
  const read = await readProjectFile(path, roots, files);
  if (read.kind === "absent") return without;
  if (read.kind === "invalid") return { ...without, problems: [read.problem] };
  const { layer, sha256 } = read;
  const layers = present([users.file, layer, users.tuple]);
  const trust = await trustIn(users.options?.trustedProjects ?? {}, directory, sha256, { env, files });
  if (trust === "this") {
    const { trustedProjects, ...value } = layer.value; // T6
    const ignored =
      trustedProjects === undefined ? [] : [{ key: "trustedProjects", why: "only your own file may set that" }];
    const trusted = present([users.file, { ...layer, value }, users.tuple]);
    const notices = renderIgnored({ ignored, path: layer.source, remedy: null });
    const remarks = [`All of ${plainName(layer.source)} counts, because you trust this version of it.`];
    return { ...check(trusted), layers: trusted, ignored, notices, remarks };
  }
  const { permitted, ignored } = splitPermitted(layer.value);
  const { problems } = check([{ ...layer, value: permitted }]);
  if (users.options === null || problems.length > 0) return { ...NO_NOTES, problems, options: null, layers };
  const tightened = tighten(users.options, permitted);
  const all = [...ignored, ...tightened.ignored];
  const remedy = { directory: await realPathOf(directory, files), sha256, userFile: userFileIn(configHome), trust };
  const notices = renderIgnored({ ignored: all, path: layer.source, remedy });
  const remarks = renderTightened(tightened.tightened, layer.source);
  return { problems, options: tightened.options, layers, ignored: all, notices, remarks };
}

const NO_NOTES = { ignored: [], notices: [], remarks: [] };

const present = (layers: readonly (Layer | null)[]): Layer[] => layers.filter((layer) => layer !== null);

function check(layers: readonly Layer[]): { problems: ConfigProblem[]; options: ParsedOptions | null } {
  const merged = mergeLayers(layers);
  const { data = null, error } = optionsSchema.safeParse(merged);
  return { problems: findProblems(error, merged, layers), options: data };
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

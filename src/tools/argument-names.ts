import { closest } from "../config/spelling.ts";

/** Other names by which models, used to other tools, call an argument. The first of the tool's own that is free gets it. */
const OTHER_NAMES = new Map<string, readonly string[]>(
  Object.entries({
    job: ["jobs"],
    jobs: ["job"],
    jobid: ["job", "jobs"],
    jobids: ["jobs", "job"],
    id: ["job", "jobs", "process"],
    ids: ["jobs"],
    task: ["tasks", "prompt"],
    instructions: ["prompt"],
    prompt: ["message"],
    text: ["message", "status"],
    message: ["status"],
    summary: ["status"],
    description: ["status"],
    title: ["description"],
    name: ["description", "label"],
    subagenttype: ["agent"],
    skill: ["skills"],
    filepath: ["path"],
    file: ["path"],
    filename: ["path"],
    files: ["paths"],
    path: ["paths"],
    paths: ["path"],
    cmd: ["command"],
    script: ["command"],
    params: ["matrix"],
    parameters: ["matrix"],
    grid: ["matrix"],
    sweep: ["matrix"],
    cwd: ["workdir"],
    runinbackground: ["background"],
    processid: ["process"],
    pid: ["process"],
    stdin: ["input"],
    oldtext: ["old_string"],
    newtext: ["new_string"],
    metric: ["metrics"],
    metrics: ["metric"],
    sortby: ["metric"],
    goal: ["direction"],
    mode: ["direction"],
    top: ["limit"],
    count: ["limit"],
  }),
);

/** What models add for whoever reads along, because tools elsewhere ask for it. It changes nothing that a tool does. */
const REMARKS = new Set(["description", "explanation", "justification", "thought", "reasoning"]);

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/** Whether a model means nothing by it. */
export const isBlank = (given: unknown): boolean =>
  given === undefined ||
  given === null ||
  (typeof given === "string" && given.trim() === "") ||
  (Array.isArray(given) && given.length === 0);

export const isObject = (given: unknown): given is Record<string, unknown> =>
  typeof given === "object" && given !== null && !Array.isArray(given);

/** The arguments by the tool's own names. One of unknown meaning keeps its name, so that the tool refuses it. */
export function renameKeys(given: Readonly<Record<string, unknown>>, known: readonly string[]): [string, unknown][] {
  const result = new Map(Object.entries(given).filter(([key]) => known.includes(key)));
  for (const [key, value] of Object.entries(given)) {
    if (known.includes(key)) continue;
    const spelt = known.find((name) => plain(name) === plain(key)) ?? [];
    const name = [spelt, OTHER_NAMES.get(plain(key)) ?? []]
      .flat()
      .find((one) => known.includes(one) && isBlank(result.get(one)));
    if (name !== undefined) result.set(name, value);
    else if (!REMARKS.has(key)) result.set(key, value);
  }
  return [...result];
}

/** Names that say only that elements or values follow, here and in sweeps elsewhere. */
const OF_ELEMENTS = /^(?:array|choices?|elements?|gridsearch|ids?|items?|jobids?|list|strings?|values?)$/;

/** Whether `key`, within the list that an argument takes, says only that its elements follow. @param name of the argument */
export const namesElements = (key: string, name: string): boolean =>
  OF_ELEMENTS.test(plain(key)) || plain(key).replace(/s$/, "") === plain(name).replace(/s$/, "");

/** Names under which an object is one of environment variables. */
const VARIABLES = /^(?:env|envs|envvars?|environmentvariables|environ|variables|vars)$/;

/** Names under which repeats of a run are asked for. */
const REPEATS = /^(?:n|num|number(?:of)?)?(?:seeds?|repeats?|repetitions?|replicates?|trials?)$/;

/**
 * "there is no argument "timeout"; do you mean "timeout_seconds"? Possible are: command, timeout_seconds".
 * @param given what the names are of
 */
export function describeUnknown(names: readonly string[], known: readonly string[], given: unknown): string {
  const unknown = names.map((name) => {
    const isOfVariables = VARIABLES.test(plain(name)) && typeof Object(given)[name] === "object";
    const unknown = `there is no argument ${JSON.stringify(name.slice(0, 64))}`;
    if (REPEATS.test(plain(name)) && known.includes("matrix"))
      return `${unknown}; for repeats do you mean "matrix": {"SEED": [1, 2, 3]}?`;
    const meant =
      isOfVariables && known.includes("matrix")
        ? "matrix"
        : (known.find((one) => plain(one).startsWith(plain(name))) ?? closest(name, known));
    return `${unknown}${meant === undefined ? "" : `; do you mean "${meant}"?`}`;
  });
  return `${unknown.join(", ")}${unknown.at(-1)?.endsWith("?") ? "" : "."} Possible are: ${known.join(", ")}`;
}

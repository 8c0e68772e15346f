import { posix } from "node:path";
import ts from "typescript";
import { isIn, type SourceFile } from "./source-files.ts";

/**
 * The folders of `src` that each folder may import, from the bottom up. A folder may always import itself. `sandboxes`
 * holds the provider port and pure code around it; its adapters are layers of their own, which only `providers` and the
 * command line know.
 */
const BELOW_WORKSPACE = ["sandboxes", "config", "shared"];
const BELOW_COLLECT = ["workspace", "workspace/project", "workspace/sandbox", ...BELOW_WORKSPACE];
const BELOW_MEASURE = ["workspace/collect", ...BELOW_COLLECT];
const BELOW_DOMAIN = ["workspace/exchange", "workspace/measure", ...BELOW_MEASURE];
const CORE = ["core", ...BELOW_DOMAIN];
const PROMPT = ["views", ...CORE];
const SESSION = ["jobs/store", ...CORE];
const QUEUE = ["jobs/session", ...SESSION];
const SANDBOX = ["jobs/project", "jobs/environments", "jobs/queue", "jobs/snapshots", ...QUEUE];
const MEASURE = ["jobs/sandbox", "prompt", ...SANDBOX];
const EXECUTION = ["jobs/bursts", "jobs/measure", "jobs/notify", ...MEASURE];
const ACTIONS = ["jobs/execution", ...EXECUTION];
const HOSTS = ["tools", "jobs", "jobs/live", "jobs/actions", "views", "providers", ...ACTIONS];
const ADAPTERS = ["sandboxes/modal", "sandboxes/local"];

const LAYERS: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  config: ["shared"],
  sandboxes: ["config", "shared"],
  "sandboxes/modal": ["sandboxes", "config", "shared"],
  "sandboxes/local": ["sandboxes", "config", "shared"],
  providers: ["sandboxes", ...ADAPTERS, "config", "shared"],
  workspace: BELOW_WORKSPACE,
  "workspace/project": ["workspace", ...BELOW_WORKSPACE],
  "workspace/sandbox": ["workspace", "workspace/project", ...BELOW_WORKSPACE],
  "workspace/exchange": ["workspace", "workspace/sandbox", ...BELOW_WORKSPACE],
  "workspace/collect": BELOW_COLLECT,
  "workspace/measure": BELOW_MEASURE,
  core: BELOW_DOMAIN,
  views: CORE,
  prompt: PROMPT,
  "jobs/store": CORE,
  "jobs/session": SESSION,
  "jobs/queue": QUEUE,
  "jobs/snapshots": QUEUE,
  "jobs/environments": ["jobs/snapshots", ...QUEUE],
  "jobs/project": ["jobs/environments", "jobs/snapshots", ...QUEUE],
  "jobs/sandbox": SANDBOX,
  "jobs/bursts": ["jobs/sandbox", ...SANDBOX],
  "jobs/execution": EXECUTION,
  "jobs/measure": MEASURE,
  "jobs/notify": ["prompt", ...QUEUE],
  "jobs/ranking": ["views", ...SESSION],
  "jobs/actions": ["jobs/ranking", "views", ...ACTIONS],
  jobs: ["jobs/actions", ...ACTIONS],
  "jobs/live": ["jobs", "jobs/actions", "views", ...ACTIONS],
  tools: ["jobs", "jobs/live", "jobs/actions", "views", ...ACTIONS],
  "hosts/shared": HOSTS,
  hosts: ["hosts/shared", ...HOSTS],
  lab: ["jobs/ranking", "jobs/store", "views", ...CORE],
  tui: ["lab", "views", ...CORE],
  dashboard: ["lab", "views", "core", "shared"],
  export: ["jobs/store", ...CORE],
  report: ["lab", "prompt", "views", ...CORE],
  cli: ["dashboard", "export", "report", "prompt", "jobs", "lab", "views", "providers", ...ADAPTERS, ...EXECUTION],
  index: ["hosts"],
};

/** Packages that only some places may import, with the reason. */
const PACKAGES: readonly { readonly name: RegExp; readonly places: readonly string[]; readonly why: string }[] = [
  {
    name: /^modal$/,
    places: ["sandboxes/modal"],
    why: "the SDK is below 1.0 and slow to load: one adapter absorbs it",
  },
  {
    name: /^@opencode(-ai)?\//,
    places: ["hosts/opencode-1", "tui"],
    why: "only an adapter knows its host, so that another host is another folder",
  },
  {
    name: /^(node:)?child_process$/,
    places: ["shared/start-program", "sandboxes/local", "workspace", "cli", "tui/dashboard-process"],
    why: "what starts processes on the host stays small enough to review",
  },
  { name: /^(bun|node):sqlite$/, places: ["jobs/store"], why: "one place chooses between the two drivers" },
  {
    name: /^(@opentui|solid-js)\b/,
    places: ["tui"],
    why: "the terminal UI of OpenCode supplies them, and nothing else does",
  },
  { name: /^bun$/, places: [], why: "the desktop app runs plugins in Node" },
  {
    name: /^zod\b/,
    places: ["config", "tools", "jobs/store"],
    why: "data is parsed where it enters; inside, types are enough",
  },
  {
    name: /^smol-toml$/,
    places: ["sandboxes/modal/credentials"],
    why: "the one TOML file read is that of `modal setup`",
  },
  { name: /^jsonc-parser$/, places: ["config"], why: "options are read in one place" },
  { name: /^nanoid\b/, places: ["shared/ids"], why: "ids come from an IdGenerator, so that tests can choose them" },
  { name: /^(node:)?timers\b/, places: ["shared/clock"], why: "time comes from a Clock, so that tests own it" },
];

/** Imports of `file` that its layer does not allow, one sentence each. */
export function layerViolations(file: SourceFile): string[] {
  const layer = layerOf(file.path);
  if (layer === null) return [`${file.path}: its folder is not in the table of layers`];
  return importsOf(file.text).flatMap((specifier) => {
    if (!specifier.startsWith(".")) return packageViolations(file.path, specifier);
    const target = posix.join(posix.dirname(file.path), specifier);
    const other = target.startsWith("src/") ? layerOf(target) : null;
    if (other === null)
      return [`${file.path} imports ${specifier}: src imports nothing outside its layers, and never a test`];
    if (other === layer || LAYERS[layer]?.includes(other)) return [];
    return [
      `${file.path} imports ${target}: ${layer} may import ${LAYERS[layer]?.join(", ") || "no other layer"}, not ${other}`,
    ];
  });
}

const packageViolations = (path: string, specifier: string): string[] =>
  PACKAGES.filter(({ name, places }) => name.test(specifier) && !places.some((place) => isIn(path, place))).map(
    ({ places, why }) => `${path} imports ${specifier}: allowed in ${places.join(", ") || "no place"} only: ${why}`,
  );

/** The most specific layer that a file belongs to; null when it belongs to none. */
const layerOf = (path: string): string | null =>
  Object.keys(LAYERS)
    .filter((layer) => isIn(path, layer))
    .sort((a, b) => b.length - a.length)[0] ?? null;

/** Everything that `text` imports: statically, dynamically, as types, or re-exported. */
const importsOf = (text: string): string[] =>
  ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);

/** Import cycles, one sentence each. Imports of types count like any others. */
export function importCycles(files: readonly SourceFile[]): string[] {
  const targets = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => posix.join(posix.dirname(path), specifier)),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push(`${[...trail.slice(start), path].join(" → ")}: this is an import cycle`);
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return cycles;
}

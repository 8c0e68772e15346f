import { plainName } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";
import type { InstalledPackage } from "../installed-package.ts";
import type { PluginEntries, PluginEntry } from "../plugin-entries.ts";

/** The package whose command line this is. */
type Own = Pick<InstalledPackage, "root" | "version">;

/** Whether OpenCode loads both parts of the plugin here, and whether they are the ones that are looked at. */
export function judgeEntries(
  { server, tui, unreadable, misplaced }: PluginEntries,
  own: Own,
  { isPure }: { readonly isPure: boolean },
): Finding[] {
  const install = `opencode plugin ${plainName(own.root)} -g`;
  const broken = unreadable.map(({ file, found }) =>
    fault(
      "opencode-config",
      `OpenCode cannot read ${plainName(file)}: it is ${found}. Whatever it names is not loaded.`,
      `Correct ${plainName(file)}.`,
    ),
  );
  const dropped = misplaced.map(({ file, keys }) =>
    warning(
      "opencode-config",
      `${plainName(file)} has options of the plugin at its top: ${keys.join(", ")}. OpenCode drops them, so they do not count.`,
      `Write them beside the plugin's path, as in "plugin": [[${JSON.stringify(own.root)}, { ${keys.map((key) => `"${key}": …`).join(", ")} }]], or in ~/.config/opencode/parallel-agents.jsonc.`,
    ),
  );
  const pure = isPure
    ? [
        fault(
          "plugin-entry",
          "OPENCODE_PURE is set, so OpenCode loads no plugins at all.",
          "Start OpenCode without that variable.",
        ),
      ]
    : [];
  return [...broken, ...dropped, ...pure, ...judgeServer(server, own, install), ...judgeTui(tui, own, install)];
}

function judgeServer(all: readonly PluginEntry[], own: Own, install: string): Finding[] {
  const name = "plugin-entry";
  const meant = all.filter(({ isMeant }) => isMeant);
  if (meant.length === 0) {
    const lost = all
      .filter(({ path, exists }) => path !== null && !exists)
      .map(({ path }) => plainName(path as string));
    const hint =
      lost.length === 0 ? "" : ` One of them names a path that does not exist, which may be meant: ${lost[0]}.`;
    const meaning = `None of OpenCode's configurations for this folder names the plugin, so agents here do not have its tools.${hint}`;
    return [fault(name, meaning, `Run: ${install}`)];
  }
  const faults = meant.flatMap((entry) => mistakeIn(name, entry, own, install));
  const keys = new Set(meant.map(keyOf));
  if (keys.size > 1)
    faults.push(
      warning(
        name,
        `The plugin is named by ${keys.size} different paths (${listed(meant)}), and OpenCode loads each of them: only the one that it loads first does anything, with the options beside it. That is the first of these, as a rule.`,
        "Leave one of the entries.",
      ),
    );
  const replaced = meant.slice(0, -1).filter((entry) => keys.size === 1 && entry.options !== undefined);
  for (const entry of replaced)
    faults.push(
      warning(
        name,
        `The options beside the plugin in ${plainName(entry.source)} do not count: ${plainName(meant.at(-1)?.source ?? "")} names it too, and OpenCode takes that entry alone.`,
        "Keep the options in one of the two, or in ~/.config/opencode/parallel-agents.jsonc.",
      ),
    );
  return faults.length > 0 ? faults : [ok(name, `Loaded from ${named(meant)}.`)];
}

function judgeTui(all: readonly PluginEntry[], own: Own, install: string): Finding[] {
  const name = "tui-entry";
  const meant = all.filter(({ isMeant }) => isMeant);
  if (meant.length === 0) {
    const meaning =
      "No tui.json names the plugin: in OpenCode's terminal UI, jobs are not in the sidebar and /jobs does not exist. Jobs themselves work.";
    return [warning(name, meaning, `Run: ${install} (which keeps the entry in opencode.json)`)];
  }
  const found = meant.flatMap((entry) => mistakeIn(name, entry, own, install));
  if (meant.length > 1)
    found.push(
      warning(
        name,
        `The plugin is named ${meant.length} times for the terminal UI (${listed(meant)}), which shows it once at most and may refuse the other.`,
        "Leave one of the entries.",
      ),
    );
  return found.length > 0 ? found : [ok(name, `In the terminal UI too, from ${named(meant)}.`)];
}

/** What is wrong with an entry by itself. */
function mistakeIn(
  name: string,
  { source, spec, path, exists, found }: PluginEntry,
  own: Own,
  install: string,
): Finding[] {
  const where = plainName(source);
  const again = `Take the entry out of ${where}, then run: ${install}`;
  if (path !== null && !exists)
    return [fault(name, `${where} names ${plainName(path)}, where nothing is: OpenCode leaves the plugin out.`, again)];
  if (found === null) {
    if (path === null)
      return [
        warning(
          name,
          `${where} names the npm package ${plainName(spec)}, which is not installed yet: OpenCode installs whatever npm has under that name. This command is of ${plainName(own.root)}, which would not be used.`,
          again,
        ),
      ];
    return [
      fault(name, `${where} names ${plainName(path)}, which is not in a package: OpenCode leaves it out.`, again),
    ];
  }
  const at = plainName(found.root);
  if (!found.isThisPlugin)
    return [fault(name, `${where} loads ${at}, another package of the same name, which is not this plugin.`, again)];
  if (found.version !== own.version)
    return [
      fault(
        name,
        `${where} loads version ${plainName(found.version ?? "unknown")} from ${at}; this command is version ${plainName(own.version ?? "unknown")} in ${plainName(own.root)}. What is found here may not be true of that one.`,
        `${again}. Or run the doctor of ${at}.`,
      ),
    ];
  if (!found.isBuilt && !isSource(path))
    return [fault(name, `${where} loads ${at}, which is not built: OpenCode leaves it out.`, `In ${at}, run: npm ci`)];
  if (found.root !== own.root)
    return [
      warning(
        name,
        `${where} loads another copy of the same version, ${at}; this command is of ${plainName(own.root)}.`,
        `Run the doctor of ${at}. Or: ${again}`,
      ),
    ];
  return [];
}

const isSource = (path: string | null): boolean => path?.endsWith(".ts") === true;

/** By which OpenCode tells entries apart; two paths of one folder are two plugins, also with a slash at the end and without. */
const keyOf = ({ path, spec }: PluginEntry): string =>
  path === null ? spec.replace(/(?<=.)@.*$/, "") : `${path.replace(/\/$/, "")}${spec.endsWith("/") ? "/" : ""}`;

const listed = (entries: readonly PluginEntry[]): string =>
  entries.map(({ source, spec }) => `${plainName(spec)} in ${plainName(source)}`).join(", ");

const named = (entries: readonly PluginEntry[]): string => {
  const [last] = entries.slice(-1);
  return last === undefined ? "" : `${plainName(last.found?.root ?? last.spec)}, as ${plainName(last.source)} says`;
};

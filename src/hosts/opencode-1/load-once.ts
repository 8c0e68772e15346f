import type { Hooks } from "@opencode-ai/plugin";

/** The copy of the plugin that an instance of OpenCode has. */
interface FirstLoad {
  /** False where it failed. */
  readonly isLoaded: Promise<boolean>;
  /** Where the copies lie that were loaded after it. */
  readonly later: string[];
}

/** Shared by all copies of the plugin in this process, whichever files they were loaded from. */
const LOADS = Symbol.for("opencode-parallel-agents.loads");

/**
 * Loads the plugin once for an instance of OpenCode, which loads it again for every other way in which its configuration
 * names it. Two of them would take each other's rules for the user's, and hide the jobs' tools from the jobs.
 * @param instance what OpenCode gives all plugins of one instance; a reload and another folder have another one
 * @param from where this copy lies
 * @param load makes the hooks; is given the places of later copies, which come to be known while the instance is loaded
 * @returns no hooks for a later copy, which is to do nothing
 * @source OpenCode 1.18.33: calls one plugin after another with the same object, made anew for each instance
 */
export async function loadOnce(
  instance: object,
  from: string,
  load: (later: readonly string[]) => Promise<Hooks>,
): Promise<Hooks> {
  const loads = firstLoads();
  for (let first = loads.get(instance); first; first = loads.get(instance)) {
    if (await first.isLoaded) {
      first.later.push(from);
      return {};
    }
  }
  const later: string[] = [];
  const loading = load(later);
  const isLoaded = loading.then(
    () => true,
    () => {
      loads.delete(instance); // the next copy may do better
      return false;
    },
  );
  loads.set(instance, { isLoaded, later });
  return await loading;
}

function firstLoads(): WeakMap<object, FirstLoad> {
  const shared = globalThis as { [LOADS]?: WeakMap<object, FirstLoad> };
  shared[LOADS] ??= new WeakMap();
  return shared[LOADS];
}

/** What a user is to know of copies that were loaded after the first one. */
export function describeLater(first: string, later: readonly string[]): string[] {
  if (later.length === 0) return [];
  const others = [...new Set(later)].filter((one) => one !== first);
  const again = others.length === 0 ? "again from there, named in another way" : `again from ${others.join(" and ")}`;
  return [
    `OpenCode's configuration names this plugin more than once for this folder. It was loaded from ${first}, and ${again}: only the first does anything, with the options beside it. Leave one of the entries; the plugin's command doctor lists them.`,
  ];
}

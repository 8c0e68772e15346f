import { type Environment, environmentSchema } from "./environment.ts";
import { toGpuType } from "./gpu.ts";
import { isObject } from "./layers.ts";
import { optionsSchema, type ParsedOptions } from "./schema.ts";
import { ENVIRONMENT_RULES, gpuLimitRule, isSame, OPTION_RULES, type Rule, SECTION_RULES } from "./trust-rules.ts";

/*
 * A project's file comes with the repository: whoever wrote it is not the user. What it may do:
 * T1: every option has a rule (trust-rules.ts). What a rule does not let pass is ignored and named.
 * T2: the bound is what the user's own layers come to, the defaults, his file and the options tuple together. The
 *     project may go below all three, the tuple's word included, and above none.
 * T3: the tuple counts as the user's. The plugin cannot see which opencode.json it is from; one that comes with a
 *     repository can load any code, and whether it is read is OpenCode's own decision.
 * T4: an environment of the user's can only lose. A new one starts from his `default`, without its variables,
 *     credentials, volumes, buckets and ports, and can ask for nothing that `default` does not have but this: GPUs as
 *     far as his `gpuLimits` go, in every alternative, since any task may ask for those and his budget holds; cores
 *     and memory as the widest of his environments has them.
 * T5: values that are ignored are never looked at, so that they cannot make the options invalid. A bad value where the
 *     project has a say does.
 * T6: a user who trusts a file names it by path and content in his own file alone; then all of it counts, but for
 *     `trustedProjects`: no file vouches for another.
 */

/** An option of a project's file that does not count. */
export interface IgnoredOption {
  /** Dotted. Made of option names and checked names only: it is shown. */
  readonly key: string;
  readonly why: string;
}

type Raw = Readonly<Record<string, unknown>>;

/** More are a nuisance: their names are told to the model with every request. */
const NEW_ENVIRONMENTS = 16;
const YOURS_ALONE = "only you may set that";

/** What of `given` the project has a say in, unchecked, and what it has not (T5). */
export function splitPermitted(given: Raw): { readonly say: Raw; readonly ignored: readonly IgnoredOption[] } {
  const ignored: IgnoredOption[] = [];
  const ignore = (...path: string[]) => ignored.push({ key: path.join("."), why: YOURS_ALONE });
  const keep = (values: Raw, rules: Readonly<Record<string, unknown>>, path: readonly string[]) =>
    Object.entries(values).filter(([key]) => {
      const isNever = Object.hasOwn(rules, key) && rules[key] === "never";
      if (isNever) ignore(...path, key);
      return !isNever;
    });
  const rules = { ...OPTION_RULES, ...SECTION_RULES };
  const say = keep(given, rules, []).map(([key, value]) => {
    if (key !== "environments" || !isObject(value)) return [key, value];
    const named = Object.entries(value).map(([name, environment]) => [
      name,
      isObject(environment)
        ? Object.fromEntries(keep(environment, ENVIRONMENT_RULES, [key, shownName(name)]))
        : environment,
    ]);
    return [key, Object.fromEntries(named)];
  });
  return { say: Object.fromEntries(say), ignored: named(ignored, given) };
}

/** Options of a forbidden section are named one by one, as far as they exist. */
function named(ignored: readonly IgnoredOption[], given: Raw): IgnoredOption[] {
  return ignored.flatMap((one) => {
    const value = given[one.key];
    const section = Object.hasOwn(SECTION_RULES, one.key) ? optionsSchema.shape[one.key as "modal"] : null;
    const known = section && isObject(value) ? Object.keys(section.unwrap().shape) : [];
    const keys = known.filter((key) => Object.hasOwn(value as Raw, key));
    return keys.length === 0 ? [one] : keys.map((key) => ({ ...one, key: `${one.key}.${key}` }));
  });
}

const shownName = (name: string): string => (/^[\w.-]{1,64}$/.test(name) ? name : "(not a name)");

/**
 * The user's options with what the project's file takes away.
 * @param say as `splitPermitted` gives it, and found valid
 */
export function tighten(
  user: ParsedOptions,
  say: Raw,
): {
  readonly options: ParsedOptions;
  readonly ignored: readonly IgnoredOption[];
  /** What is the project's: keys, with their values where these are short. */
  readonly tightened: readonly string[];
} {
  const theirs = optionsSchema.parse(say) as ParsedOptions;
  const ignored: IgnoredOption[] = [];
  const tightened: string[] = [];

  function lessOf<T extends object, Facts>(
    mine: T,
    wanted: T,
    given: unknown,
    rules: Readonly<Record<string, unknown>>,
    path: readonly string[],
    facts: Facts,
  ): T {
    const result = { ...mine } as Record<string, unknown>;
    for (const key of isObject(given) ? Object.keys(given) : []) {
      const rule = Object.hasOwn(rules, key) ? (rules[key] as Rule<unknown, Facts>) : "never";
      const [has, wants] = [result[key], (wanted as Record<string, unknown>)[key]];
      if (isSame(has, wants)) continue;
      const why = rule === "never" ? YOURS_ALONE : rule(has, wants, facts);
      if (why !== null) ignored.push({ key: [...path, key].join("."), why });
      else {
        result[key] = wants;
        const isShort = typeof wants === "number" || typeof wants === "boolean" || wants === "blocked";
        tightened.push(`${[...path, key].join(".")}${isShort ? ` = ${wants}` : ""}`);
      }
    }
    return result as T;
  }

  function environmentsOf(): ParsedOptions["environments"] {
    const result: Record<string, Environment> = { ...user.environments };
    let news = 0;
    for (const [name, given] of Object.entries(isObject(say.environments) ? say.environments : {})) {
      const isNew = !Object.hasOwn(user.environments, name);
      const path = ["environments", name];
      if (isNew && ++news > NEW_ENVIRONMENTS) {
        ignored.push({ key: path.join("."), why: `more than ${NEW_ENVIRONMENTS} new environments` });
        continue;
      }
      if (isNew) tightened.push(path.join("."));
      const mine = isNew ? startOf(user.environments.default) : (user.environments[name] as Environment);
      const wanted = theirs.environments[name] as Environment;
      result[name] = lessOf(mine, wanted, given, ENVIRONMENT_RULES, path, { mine, isNew, options: user });
    }
    return result as ParsedOptions["environments"];
  }

  const gpuTypes = Object.keys(isObject(say.gpuLimits) ? say.gpuLimits : {}).map((key) => toGpuType(key) ?? key);
  const byType = Object.fromEntries(gpuTypes.map((type) => [type, gpuLimitRule]));
  const section = <K extends "budget" | "notify">(key: K): ParsedOptions[K] =>
    lessOf(user[key], theirs[key], say[key], SECTION_RULES[key], [key], null);
  const options: ParsedOptions = {
    ...lessOf(user, theirs, pick(say, Object.keys(OPTION_RULES)), OPTION_RULES, [], null),
    budget: section("budget"),
    notify: section("notify"),
    gpuLimits: lessOf(user.gpuLimits, theirs.gpuLimits, byType, byType, ["gpuLimits"], null),
    environments: environmentsOf(),
  };
  return { options, ignored, tightened };
}

/** T4 */
const startOf = (environment: Environment): Environment => ({
  ...environment,
  ...pick(environmentSchema.parse({}), ["env", "hostEnv", "secrets", "volumes", "buckets", "ports", "warm"]),
});

const pick = <T extends object>(from: T, keys: readonly string[]): Partial<T> =>
  Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key))) as Partial<T>;

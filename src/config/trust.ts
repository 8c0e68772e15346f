import { type Environment, environmentSchema } from "./environment.ts";
import { toGpuType } from "./gpu.ts";
import { isObject } from "./layers.ts";
import { resourcesOf } from "./resources.ts";
import { optionsSchema, type ParsedOptions } from "./schema.ts";
import {
  benchmarkRule,
  ENVIRONMENT_RULES,
  gpuLimitRule,
  isSame,
  largestOf,
  OPTION_RULES,
  SECTION_RULES,
  type TrustRule,
} from "./trust-rules.ts";

/*
 * A project's file comes with the repository, so its author is not the user. What it may do:
 * T1: every option has a rule (trust-rules.ts). A value that its rule does not accept is ignored, and named to the user.
 * T2: the bound is the result of the user's own layers: defaults, his file and the options tuple. The project may go below
 *     it, which includes values of the tuple, but never above it.
 * T3: the tuple counts as the user's. The plugin cannot tell which opencode.json it came from, but an opencode.json of a
 *     repository can load arbitrary code anyway, and whether it is read is OpenCode's decision.
 * T4: a project can only take away from an environment of the user's. A new environment starts from his `default`, without
 *     its variables, credentials, volumes, buckets, ports and proxy. It may request only what `default` has, except GPUs within
 *     `gpuLimits`, in every alternative (any task may request those, and the budget holds), and cores and memory up to the
 *     largest of his environments.
 * T5: ignored values are not validated, so that they cannot make the options invalid. A bad value of an option that the
 *     project may set does make them invalid.
 * T6: a user trusts a file by path and content, in his own file only. Then all of it counts except `trustedProjects`: no
 *     file vouches for another.
 */

/** An option of a project's file that is ignored. */
export interface IgnoredOption {
  /** Dotted. It is shown to the user, so it contains only option names and validated names. */
  readonly key: string;
  readonly why: string;
}

type Raw = Readonly<Record<string, unknown>>;

/** Environments and benchmarks that a project may add. The model is told their names, so more are a nuisance. */
const NEW_ENVIRONMENTS = 16;
const NEW_BENCHMARKS = 16;
const YOURS_ALONE = "only you may set that";

/** Splits a project's file into options that it may set, still unchecked, and options that are ignored (T5). */
export function splitPermitted(given: Raw): { readonly permitted: Raw; readonly ignored: readonly IgnoredOption[] } {
  const ignored: IgnoredOption[] = [];
  const ignore = (...path: string[]) => ignored.push({ key: path.join("."), why: YOURS_ALONE });
  const keep = (values: Raw, rules: Readonly<Record<string, unknown>>, path: readonly string[]) =>
    Object.entries(values).filter(([key]) => {
      const isNever = Object.hasOwn(rules, key) && rules[key] === "never";
      if (isNever) ignore(...path, key);
      return !isNever;
    });
  const rules = { ...OPTION_RULES, ...SECTION_RULES };
  const permitted = keep(given, rules, []).map(([key, value]) => {
    if (key !== "environments" || !isObject(value)) return [key, value];
    const named = Object.entries(value).map(([name, environment]) => [
      name,
      isObject(environment)
        ? Object.fromEntries(keep(environment, ENVIRONMENT_RULES, [key, shownName(name)]))
        : environment,
    ]);
    return [key, Object.fromEntries(named)];
  });
  return { permitted: Object.fromEntries(permitted), ignored: nameEach(ignored, given) };
}

/** Names the options of a forbidden section one by one, as far as the schema knows them. */
function nameEach(ignored: readonly IgnoredOption[], given: Raw): IgnoredOption[] {
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
 * The user's options, tightened by the project's file.
 * @param permitted from `splitPermitted`, validated
 */
export function tighten(
  user: ParsedOptions,
  permitted: Raw,
): {
  readonly options: ParsedOptions;
  readonly ignored: readonly IgnoredOption[];
  /** Keys that the project's file has set, with their values if these are short. */
  readonly tightened: readonly string[];
} {
  const theirs = optionsSchema.parse(permitted) as ParsedOptions;
  const ignored: IgnoredOption[] = [];
  const tightened: string[] = [];

  function tightenEach<T extends object, Facts>(
    mine: T,
    wanted: T,
    given: unknown,
    rules: Readonly<Record<string, unknown>>,
    path: readonly string[],
    facts: Facts,
  ): T {
    const result = { ...mine } as Record<string, unknown>;
    for (const key of isObject(given) ? Object.keys(given) : []) {
      const rule = Object.hasOwn(rules, key) ? (rules[key] as TrustRule<unknown, Facts>) : "never";
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

  function tightenEnvironments(): ParsedOptions["environments"] {
    const result: Record<string, Environment> = { ...user.environments };
    let added = 0;
    for (const [name, given] of Object.entries(isObject(permitted.environments) ? permitted.environments : {})) {
      const isNew = !Object.hasOwn(user.environments, name);
      const path = ["environments", name];
      if (isNew && ++added > NEW_ENVIRONMENTS) {
        ignored.push({ key: path.join("."), why: `more than ${NEW_ENVIRONMENTS} new environments` });
        continue;
      }
      if (isNew) tightened.push(path.join("."));
      const mine = isNew ? startOf(user.environments.default) : (user.environments[name] as Environment);
      const wanted = theirs.environments[name] as Environment;
      const own = tightenEach(mine, wanted, given, ENVIRONMENT_RULES, path, { mine, isNew, options: user });
      result[name] = isNew ? { ...own, ...limitsWithin(own, Object.values(user.environments)) } : own;
    }
    return result as ParsedOptions["environments"];
  }

  function addBenchmarks(): ParsedOptions["benchmarks"] {
    const result = { ...user.benchmarks };
    let added = 0;
    for (const name of Object.keys(isObject(permitted.benchmarks) ? permitted.benchmarks : {})) {
      const isNew = !Object.hasOwn(user.benchmarks, name);
      const wanted = theirs.benchmarks[name];
      if (!wanted || isSame(user.benchmarks[name], wanted)) continue;
      const tooMany = isNew && ++added > NEW_BENCHMARKS ? `more than ${NEW_BENCHMARKS} new benchmarks` : null;
      const why = benchmarkRule(isNew) ?? tooMany;
      if (why === null) result[name] = wanted;
      if (why === null) tightened.push(`benchmarks.${name}`);
      else ignored.push({ key: `benchmarks.${name}`, why });
    }
    return result;
  }

  const gpuTypes = Object.keys(isObject(permitted.gpuLimits) ? permitted.gpuLimits : {}).map(
    (key) => toGpuType(key) ?? key,
  );
  const byType = Object.fromEntries(gpuTypes.map((type) => [type, gpuLimitRule]));
  const section = <K extends "budget" | "notify" | "ledger">(key: K): ParsedOptions[K] =>
    tightenEach(user[key], theirs[key], permitted[key], SECTION_RULES[key], [key], null);
  const options: ParsedOptions = {
    ...tightenEach(user, theirs, pick(permitted, Object.keys(OPTION_RULES)), OPTION_RULES, [], null),
    budget: section("budget"),
    notify: section("notify"),
    ledger: section("ledger"),
    gpuLimits: tightenEach(user.gpuLimits, theirs.gpuLimits, byType, byType, ["gpuLimits"], null),
    environments: tightenEnvironments(),
    benchmarks: addBenchmarks(),
  };
  return { options, ignored, tightened };
}

/** T4: with a larger request the default of a limit grows too, but not past the largest of the user's. */
function limitsWithin(own: Environment, users: readonly Environment[]): Partial<Environment> {
  const wanted = resourcesOf(own, null);
  const keys = (["cpuLimit", "memoryLimitMiB"] as const).filter(
    (key) => own[key] === null && wanted[key] > largestOf(users, key),
  );
  return Object.fromEntries(keys.map((key) => [key, largestOf(users, key)]));
}

/** T4 */
const startOf = (environment: Environment): Environment => ({
  ...environment,
  ...pick(environmentSchema.parse({}), ["env", "hostEnv", "secrets", "volumes", "buckets", "ports", "proxy", "warm"]),
});

const pick = <T extends object>(from: T, keys: readonly string[]): Partial<T> =>
  Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key))) as Partial<T>;

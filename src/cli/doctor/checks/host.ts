import { supportOf } from "../../../core/host-version.ts";
import { SQLITE_REMEDY } from "../../../jobs/store/driver.ts";
import { oneLine, plainName } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";

/** What starting `opencode --version` came to. */
export type FoundOpencode =
  /** `hasRun`: whether OpenCode has left its folders here, as its desktop app does. */
  | { readonly kind: "absent"; readonly hasRun: boolean }
  | { readonly kind: "silent"; readonly path: string; readonly said: string }
  | { readonly kind: "found"; readonly path: string; readonly version: string; readonly others: readonly string[] };

const INSTALL = "npm install -g opencode-ai@1.18.33";

export function judgeOpencode(found: FoundOpencode): Finding {
  const name = "opencode-version";
  if (found.kind === "absent") {
    if (!found.hasRun)
      return fault(name, "OpenCode is not on PATH and has never run here: the plugin runs in it.", `Run: ${INSTALL}`);
    return warning(
      name,
      "There is no opencode on PATH, so its version is not known. The desktop app brings its own.",
      `See that the app has OpenCode 1.18 or a later 1.x, or run: ${INSTALL}`,
    );
  }
  const path = plainName(found.path);
  if (found.kind === "silent")
    return fault(
      name,
      `${path} did not say its version: ${oneLine(found.said, 200) || "it printed nothing"}.`,
      `Run "${path} --version" yourself. To install it anew: ${INSTALL}`,
    );
  const support = supportOf(found.version);
  const others =
    found.others.length === 0
      ? ""
      : ` Further ones on PATH are not used: ${found.others.map((one) => plainName(one)).join(", ")}.`;
  const shown = oneLine(found.version, 40);
  if (support.kind === "tested") return ok(name, `OpenCode ${shown} (${path}), which the plugin runs on.${others}`);
  if (support.kind === "untested")
    return warning(name, `${support.message} (${path})${others}`, "If something does not work, try 1.18.33.");
  const isNext = Number.parseInt(found.version, 10) >= 2;
  const why = isNext
    ? `${path} is OpenCode ${shown}. The plugin runs on OpenCode 1 (1.18 or later) and not on OpenCode 2, which loads other plugins: no jobs start in it.`
    : `${path} is OpenCode ${shown}. The plugin needs 1.18 or a later 1.x: no jobs start in this one.`;
  return fault(name, `${why}${others}`, `Install OpenCode 1: ${INSTALL}`);
}

/** @param hasSqlite whether this runtime can read the state */
export function judgeRuntime(runtime: string, hasSqlite: boolean): Finding {
  const name = "runtime";
  if (hasSqlite) return ok(name, `This command runs on ${runtime}.`);
  return warning(
    name,
    `This command runs on ${runtime}, which has no SQLite: the state is not looked into, and gc, report and dashboard cannot run. OpenCode itself brings its own runtime.`,
    SQLITE_REMEDY,
  );
}

/** @param version as `git --version` prints it; null = git could not be run */
export function judgeGit(version: string | null): Finding {
  const name = "git";
  if (version === null)
    return fault(
      name,
      "git cannot be run: jobs in a repository do not get its files, and nothing can be collected as a branch or patch.",
      "Install git 2.39 or newer.",
    );
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(version) ?? [];
  const shown = oneLine(version, 60);
  if (Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 39)) return ok(name, `${shown}.`);
  return warning(name, `${shown} is older than 2.39, with which the plugin is tested.`, "Install git 2.39 or newer.");
}

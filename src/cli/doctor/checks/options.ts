import type { LoadedOptions } from "../../../config/load.ts";
import { nameList } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";

/** @param userFile where the user's own options are, or would be */
export function judgeOptions(loaded: LoadedOptions, userFile: string): Finding[] {
  const name = "options";
  if (loaded.kind === "invalid") {
    const meaning = `${loaded.message}\nNo job starts until they are.`;
    return [fault(name, meaning, "Change what is named there; docs/options.md has every option with its values.")];
  }
  const ignored = loaded.notices.map((notice) =>
    warning(name, notice, `Set it in your own file, ${userFile}, or leave it as it is.`),
  );
  const sources = loaded.sources.length === 0 ? "All at their defaults" : `Valid, from ${nameList(loaded.sources)}`;
  return [...ignored, ok(name, `${sources}.${loaded.remarks.map((remark) => ` ${remark}`).join("")}`)];
}

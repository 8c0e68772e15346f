import { nameList, plainName } from "../shared/plain-text.ts";
import type { Artifacts } from "../workspace/measure/artifacts.ts";
import type { BuiltMeasured } from "../workspace/measure/build-measured.ts";
import type { Refused } from "../workspace/measure/decide-tree.ts";
import { toText } from "../workspace/paths.ts";

const NAMES = 20;

/** Files of a job that are not among its changes: those too large for a commit, and what git ignores. */
export interface NotAmongChanges {
  readonly tooLarge: readonly string[];
  readonly ignored: readonly string[];
}

/** What is to be said of the files that a run measures, one sentence or two each. */
export function measuredNotes(
  jobID: string,
  { isUnchanged, refused, commandFiles, libraries }: BuiltMeasured,
  { leftOut, unmatched }: Pick<Artifacts, "leftOut" | "unmatched">,
  { tooLarge, ignored }: NotAmongChanges,
): string[] {
  const of = (kind: Refused["kind"]) => refused.filter((one) => one.kind === kind);
  const protectedFiles = of("protected");
  const startUp = of("start-up");
  const others = [...of("other"), ...leftOut.filter(({ path }) => !refused.some((one) => one.path === path))];
  return [
    ...(isUnchanged ? [unchangedNote(jobID, ignored)] : []),
    ...(protectedFiles.length > 0
      ? [`Versions of ${jobID} that do not count, as the benchmark protects the files: ${named(protectedFiles)}.`]
      : []),
    ...(startUp.length > 0
      ? [
          `Left out of the measurement, because they would get into the benchmark's programs by themselves: ${named(startUp)}. If the benchmark needs one, name exactly that file in its artifacts.`,
        ]
      : []),
    ...(others.length > 0 ? [`Left out of the measurement: ${named(others)}.`] : []),
    ...(tooLarge.length > 0
      ? [
          `Too large to be among the changes, so not measured: ${nameList(tooLarge.map(toText), NAMES)}. Name them in the benchmark's artifacts.`,
        ]
      : []),
    ...unmatched.map((pattern) => `${jobID} has no file that the artifacts' ${plainName(pattern)} matches.`),
    ...(commandFiles.length > 0
      ? [
          `The command names ${nameList(commandFiles.map(toText), NAMES)}, which ${jobID} changed and protect does not cover: what that prints is the job's own word.`,
        ]
      : []),
    ...(libraries.length > 0
      ? [
          `Shared libraries of ${jobID} among the files, run by whatever loads them: ${nameList(libraries.map(toText), NAMES)}.`,
        ]
      : []),
  ];
}

function unchangedNote(jobID: string, ignored: readonly string[]): string {
  const files =
    ignored.length === 0
      ? ""
      : ` Git ignores what ${jobID} left in ${nameList(ignored.map(toText), NAMES)}: name in the benchmark's artifacts what it needs of that.`;
  return `No change of ${jobID} is among what is measured, which is the project as it was.${files}`;
}

/** Names, each with its reason, which several may share. */
function named(files: readonly { readonly path: string; readonly why: string }[]): string {
  const byReason = new Map<string, string[]>();
  for (const { path, why } of files) byReason.set(why, [...(byReason.get(why) ?? []), toText(path)]);
  return [...byReason].map(([why, names]) => `${nameList(names, NAMES)} (${plainReason(why)})`).join("; ");
}

/** A reason may quote the name of a file. */
const plainReason = (why: string): string => why.replace(/[<>`]/g, "");

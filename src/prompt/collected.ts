import type { Job } from "../core/job.ts";
import { notesOf } from "../core/job-notes.ts";
import { PluginError } from "../shared/error-code.ts";
import { nameList, oneLine, plainName } from "../shared/plain-text.ts";
import type { BuiltCommits } from "../workspace/collect/build-commits.ts";
import type { AutoLoadedFile } from "../workspace/collect/find-auto-loaded.ts";
import type { MergePreview } from "../workspace/collect/preview-merge.ts";
import { FILE_LIMITS, type LeftOut, tooLarge } from "../workspace/collect/select-files.ts";
import { formatSize, toText } from "../workspace/paths.ts";
import { toNotes } from "./job-list.ts";
import { toFact, toQuoted } from "./quoted-text.ts";

/** Where a job's files were read. Times are epoch milliseconds. */
type Source =
  | { readonly kind: "sandbox" }
  | { readonly kind: "snapshot"; readonly id: string; readonly takenAt: number };

export interface CollectedChanges {
  readonly job: Pick<Job, "id" | "base" | "notes">;
  readonly source: Source;
  readonly built: BuiltCommits;
  /** null for a patch, and where there is nothing for a branch. */
  readonly branch: string | null;
  /** Whether there is a branch or a patch: none is made of nothing. */
  readonly isWritten: boolean;
  /** Patterns that match no changed file. */
  readonly unmatched: readonly string[];
  readonly stat: { readonly files: number; readonly insertions: number; readonly deletions: number };
  readonly preview: MergePreview;
  /** Paths that other jobs changed too, by job id. */
  readonly overlaps: ReadonlyMap<string, readonly string[]>;
}

export interface CollectedFiles {
  readonly job: Pick<Job, "id" | "base" | "notes">;
  readonly source: Source;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly leftOut: readonly LeftOut[];
  /** Patterns that nothing matched. */
  readonly unmatched: readonly string[];
  readonly attention: readonly AutoLoadedFile[];
  readonly notes: readonly string[];
}

interface Answer {
  readonly title: string;
  readonly output: string;
  readonly metadata: Record<string, unknown>;
}

/** Files named in the output; all of them are in the folder. */
const SHOWN = 50;
/** Other jobs whose common files are named. */
const OTHERS = 10;
/** Files named in the metadata. */
const RECORDED = 1_000;

/** A job's work in the user's project. `shownRoot`: absolute, null where OpenCode is open in the project's root. */
export type Work =
  | { readonly kind: "branch"; readonly collected: CollectedChanges }
  | {
      readonly kind: "patch";
      readonly collected: CollectedChanges;
      readonly target: string;
      readonly shownRoot: string | null;
    }
  | {
      readonly kind: "files";
      readonly copied: CollectedFiles;
      readonly target: string;
      readonly shownRoot: string | null;
    };

export function renderWork(work: Work): Answer {
  switch (work.kind) {
    case "branch":
      return renderCollected(work.collected, null);
    case "patch":
      return renderCollected(work.collected, work.target, work.shownRoot);
    case "files":
      return renderFiles(work.copied, work.target, work.shownRoot);
  }
}

/**
 * @param patch path that was asked for the patch file; null for a branch
 * @param root absolute root of the project, which paths are relative to; null where OpenCode is open in it
 */
export function renderCollected(collected: CollectedChanges, patch: string | null, root: string | null = null): Answer {
  const { job, source, built, branch, isWritten, unmatched, stat, preview, overlaps } = collected;
  const size = `${stat.files} file${stat.files === 1 ? "" : "s"}, +${stat.insertions} -${stat.deletions}`;
  const { base } = built;
  const commits = built.commits.map(({ id, subject }) => ({ id, subject: oneLine(subject, 200) }));
  const left = built.leftOut.map(toLeftLine);
  const others = [...overlaps];
  const conflicts = preview.kind === "conflicts" ? preview.paths : [];
  const isEmpty = stat.files === 0 && commits.length === 0;
  const lines = [
    titleLine(),
    branch !== null && branch !== `agents/${job.id}` ? TAKEN_NAME : "",
    toSourceLine(source),
    ...shorten(commits.map(({ id, subject }) => `${id.slice(0, 12)} ${toQuoted(subject, 200)}`)),
    ...toAttention(built.attention, patch !== null ? "apply the patch" : "check the branch out or merge it"),
    ...unmatched.map((pattern) => toUnmatched(pattern, "No changed file is at")),
    preview.kind === "clean" && isWritten && !isEmpty ? "It merges cleanly with the project as it is now." : "",
    branch !== null && base !== null && base !== built.head ? toUncommitted(base, branch) : "",
    conflicts.length > 0 ? `It conflicts with the project as it is now in ${nameList(conflicts)}.` : "",
    preview.kind === "unknown" && isWritten && !isEmpty
      ? `Whether it merges cleanly is not known: ${toFact(preview.why, 500)}.`
      : "",
    ...others.slice(0, OTHERS).map(([id, paths]) => `${id} changed the same files: ${nameList(paths)}.`),
    others.length > OTHERS ? `So did ${others.length - OTHERS} other jobs.` : "",
    ...(left.length > 0 ? [`Left out ${left.length}:`, ...shorten(left)] : []),
    ...built.notes.map((note) => `Not in it: ${toFact(note, 2_000)}.`),
    ...built.remarks.map((remark) => toFact(remark, 2_000)),
    toJobNotes(job),
  ];
  return {
    title: branch ?? patch ?? job.id,
    output: lines.filter((line) => line !== "").join("\n"),
    metadata: {
      ...(branch === null ? {} : { branch }),
      ...(base === null ? {} : { base }),
      ...(patch === null || !isWritten ? {} : { patch }),
      commits,
      stat,
      source: toSource(source),
      preview: preview.kind === "conflicts" ? { ...preview, paths: conflicts.map((path) => plainName(path)) } : preview,
      overlaps: Object.fromEntries(others.map(([id, paths]) => [id, paths.map((path) => plainName(path))])),
      leftOut: built.leftOut.slice(0, RECORDED).map(toLeftOut),
      ...(unmatched.length === 0 ? {} : { unmatched }),
      attention: built.attention.slice(0, RECORDED).map(toName),
      notes: [...built.notes, ...built.remarks],
    },
  };

  function titleLine(): string {
    if (branch !== null)
      return `Branch ${branch} of ${job.id}: ${commits.length} commit${commits.length === 1 ? "" : "s"}, ${size}. Look at it with git diff ${base?.slice(0, 12)}..${branch}.`;
    if (isWritten) return `Patch ${patch} of ${job.id}: ${size}. ${toApply(patch ?? "", root)}`;
    const what = left.length > 0 ? "has no changes that can be taken" : "changed nothing";
    return `${job.id} ${what}${isEmpty ? "" : " in these paths"}, so no ${patch === null ? "branch" : "patch"} was made${patch !== null && unmatched.length > 0 ? `; one that was at ${patch} before is still there` : ""}.`;
  }
}

/**
 * A branch that begins with what the user has not committed does not merge while he has that in his files. Committed by
 * himself, it conflicts where the job changed the same lines; the job's commits alone do not.
 */
const toUncommitted = (base: string, branch: string): string =>
  `It begins with ${base.slice(0, 12)}, which holds what was not committed in the project when the job took its files. As long as that is not committed there, git refuses to merge it. Take the job's changes alone: with mode "patch", or, once those are committed, with git cherry-pick ${base.slice(0, 12)}..${branch}.`;

function toApply(patch: string, root: string | null): string {
  if (root === null) return "Apply it with git apply.";
  return `Apply it with git -C ${toShell(root)} apply ${toShell(patch)}: in a folder below the project's root, git apply passes over the files outside that folder and says nothing.`;
}

const toShell = (word: string): string => (/^[\w./@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const TAKEN_NAME = "It is called that because your other branches leave no place for a branch agents/<job id>.";

/**
 * @param root as for `renderCollected`
 * @throws PluginError `collect_failed` when nothing was written
 */
export function renderFiles(collected: CollectedFiles, target: string, root: string | null = null): Answer {
  const { job, files, leftOut, unmatched, source } = collected;
  const notes = collected.notes.map((note) => `Not among them: ${toFact(note, 2_000)}.`);
  const missing = unmatched.map((pattern) => toUnmatched(pattern, "Nothing is at"));
  const left = leftOut.map(toLeftLine);
  const inParts = leftOut.some(({ why }) => why === tooLarge(FILE_LIMITS)) ? toInParts(job) : "";
  if (files.length === 0) {
    const why = [...missing, ...notes, ...left.slice(0, SHOWN).map((one) => `Left out ${one}.`), inParts].filter(
      Boolean,
    );
    const nothing = why.length > 0 ? why.join(" ") : "It changed no files; name paths to take others.";
    throw new PluginError("collect_failed", `No files of ${job.id} were written. ${nothing}`, { retryable: false });
  }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const count = `${files.length} file${files.length === 1 ? "" : "s"}, ${formatSize(bytes)}`;
  const lines = [
    `Wrote ${count}, of ${job.id} to ${target}/${root === null ? "" : ` in ${root}`}. They are a job's: look at them before anything of them runs.`,
    toSourceLine(source),
    ...shorten(files.map((file) => `${toName(file)}${toSize(file.bytes)}`)),
    ...toAttention(collected.attention, "move them to where they count"),
    ...(left.length > 0 ? [`Left out ${left.length}:`, ...shorten(left)] : []),
    inParts,
    ...missing,
    ...notes,
    toJobNotes(job),
  ];
  return {
    title: target,
    output: lines.filter((line) => line !== "").join("\n"),
    metadata: {
      into: target,
      files: files.slice(0, RECORDED).map((file) => ({ path: toText(file.path), sizeBytes: file.bytes })),
      leftOut: leftOut.slice(0, RECORDED).map(toLeftOut),
      attention: collected.attention.slice(0, RECORDED).map(toName),
      unmatched,
      notes: collected.notes,
      stat: { files: files.length, bytes, leftOut: leftOut.length },
      source: toSource(source),
    },
  };
}

const toInParts = ({ id }: Pick<Job, "id">): string =>
  `A file that is too large comes in parts: start a run "from": "${id}" with the command "split -b 900M FILE FILE.part-", collect the parts of that run by twos, and put them together with cat.`;

/** What was left out or altered when its files were taken, and limits that did not hold. */
function toJobNotes(job: Pick<Job, "id" | "base" | "notes">): string {
  const notes = notesOf(job);
  return notes.length === 0 ? "" : `Notes on ${job.id}: ${toNotes(notes)}`;
}

const toUnmatched = (pattern: string, what: string): string =>
  `${what} ${plainName(pattern)}.${/[[\]]/.test(pattern) ? " Brackets in paths stand for themselves." : ""}`;

/** As a list, cut after `SHOWN` lines. */
const shorten = (lines: readonly string[]): string[] => [
  ...lines.slice(0, SHOWN).map((line) => `- ${line}`),
  ...(lines.length > SHOWN ? [`and ${lines.length - SHOWN} more`] : []),
];

/** The job chose the name, so it must not pass for a line of ours. */
const toName = ({ path }: { readonly path: string }): string => plainName(toText(path));

const toLeftLine = (left: LeftOut): string => `${toName(left)}${toSize(left.bytes)}: ${toFact(left.why)}`;

const toLeftOut = (left: LeftOut) => ({
  path: toName(left),
  why: left.why,
  ...(left.bytes === null ? {} : { sizeBytes: left.bytes }),
});

function toAttention(obeyed: readonly AutoLoadedFile[], before: string): string[] {
  if (obeyed.length === 0) return [];
  const lines = obeyed.map((one) => `${toName(one)}: ${one.who}`);
  return [`Attention: these take effect without being asked. Read them before you ${before}:`, ...shorten(lines)];
}

const toSize = (bytes: number | null): string => (bytes === null ? "" : ` (${formatSize(bytes)})`);

const toSourceLine = (source: Source): string =>
  source.kind === "sandbox" ? "" : `As it was in the snapshot ${source.id}, ${new Date(source.takenAt).toISOString()}.`;

const toSource = (source: Source) =>
  source.kind === "sandbox" ? source : { ...source, takenAt: new Date(source.takenAt).toISOString() };

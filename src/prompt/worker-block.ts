import type { BriefedSandbox, News } from "../core/briefing.ts";
import type { Job } from "../core/job.ts";
import { oneLine, plainName } from "../shared/plain-text.ts";
import { renderInstructions } from "./given-instructions.ts";
import { type LoadedSkill, renderLoadedSkill } from "./loaded-skill.ts";

export interface WorkerFacts {
  readonly job: Pick<Job, "task" | "given">;
  /** Whether its sandbox has the project's files, or will have them. */
  readonly hasProject: boolean;
  /** false where the user has switched off the isolation of local sandboxes. */
  readonly isIsolated: boolean;
  /** Whether its commands may be given GPUs. Absent = no. */
  readonly hasGpus?: boolean;
  /** null for a job that never ran. */
  readonly briefing: BriefedSandbox | null;
  /** Whether it has a sandbox now, or will have one shortly. */
  readonly hasSandbox: boolean;
  /** The folder of the project that OpenCode is open in, relative to its root; "" = the root. */
  readonly openFolder: string;
  readonly skills: readonly Omit<LoadedSkill, "notes">[];
  /** System text of an agent that the user defined. */
  readonly agentPrompt: string | null;
}

/** Characters. A note may name files, whose names anybody may have chosen. */
const NOTE_LIMIT = 2_000;

/**
 * The whole system text of a job's session. It replaces the host's own text, which describes the user's machine. It never
 * changes during the job, and what differs between sibling jobs comes last, because providers cache the beginning of
 * requests.
 */
export function renderWorkerBlock(facts: WorkerFacts): string {
  const { job, briefing, hasProject, skills, agentPrompt, openFolder } = facts;
  const { instructions } = job.given;
  const parts = [facts.isIsolated ? `${ALONE} ${ISOLATED} ${WORKER}` : `${ALONE} ${NOT_ISOLATED} ${WORKER}`];
  if (!job.task.forbidden.includes("agents_start")) parts.push(RUNS);
  if (facts.hasGpus) parts.push(GPUS);
  if (briefing) parts.push(`Your sandbox: working directory ${briefing.workdir}, home ${briefing.home ?? "$HOME"}.`);
  if (hasProject) parts.push(openFolder === "" ? PROJECT : `${PROJECT} ${renderOpenFolder(openFolder)}`);
  if (agentPrompt) parts.push(agentPrompt);
  if (instructions.length > 0) parts.push(renderInstructions(instructions));
  for (const skill of skills) parts.push(renderLoadedSkill({ ...skill, notes: [] }));
  if (job.task.snapshotID)
    parts.push(`Your sandbox starts from the snapshot ${job.task.snapshotID}: its files are in place.`);
  if (briefing && briefing.notes.length > 0) parts.push(renderNotes(briefing.notes));
  if (!facts.hasSandbox)
    parts.push("Your sandbox is not running now, so your tools answer not_found; say so and end your turn.");
  return parts.join("\n\n");
}

/** What has changed since the system text was written, for the next prompt; "" for nothing. */
export function renderNews({ notes, place }: News): string {
  const moved = place === null ? [] : [`Your sandbox was made anew: working directory ${place.workdir}, home ${place.home ?? "$HOME"}.`]; // biome-ignore format: one line
  const parts = [...moved, ...(notes.length > 0 ? [renderNotes(notes)] : [])];
  return parts.map((part) => `${part}\n\n`).join("");
}

const renderNotes = (notes: readonly string[]): string =>
  `Know besides:${notes.map((note) => `\n- ${oneLine(note, NOTE_LIMIT)}`).join("")}`;

const renderOpenFolder = (folder: string): string =>
  `The user works in its folder ${plainName(folder)}: relative paths in your task mean that folder first, and your own tools and commands still start in the working directory, which is the whole project.`;

/** For a session whose job is not recorded any more. */
export const renderMissingJob = (jobID: string): string =>
  `This session belonged to the job ${jobID}, which no longer exists. Say so and end your turn.`;

const PROJECT = `The working directory holds the project's files as they were when the job was started, without what git ignores (often data, installed packages and .env files) and without its history. Where the sandbox has git it is a repository of its own, with them as its first commit. Commit your work there, with messages that say why; what you leave uncommitted is kept too. Only the working directory and the branch checked out in it come back: merge what you did on other branches, in stashes or worktrees. Your changes reach the project as a branch or patch, so touch only what the job is about.`;

const RUNS =
  'To run commands beside your own work, in sandboxes of their own with your files as they are now, start runs: agents_start with tasks that have "command" (a "matrix" makes many), then agents_wait. They end with you, and what they cost counts as yours.';

const GPUS =
  "A GPU costs money while you hold it: edit and test on the CPU of your sandbox, and give gpu to the one sandbox_exec that trains or measures. It runs on a copy of your files, and what it changes in the working directory comes back when it ends, checkpoints too.";

const ALONE = "You are an agent working alone on one delegated job.";

const ISOLATED =
  "You have a sandbox: an isolated Linux machine of your own. Everything you do happens there, through sandbox_exec, sandbox_process, sandbox_read, sandbox_write and sandbox_edit. You cannot reach the user's machine or files, and";

const NOT_ISOLATED =
  "What is called your sandbox is a folder on the user's own machine, WITHOUT isolation: your commands run there as the user and can reach and change everything of the user's. Work with sandbox_exec, sandbox_process, sandbox_read, sandbox_write and sandbox_edit, keep to your working directory, and touch nothing outside it: you were not asked to, and";

const WORKER = `nobody answers questions: decide for yourself, and say at the end what you assumed.

- Work in the working directory. Relative paths are relative to it. Files you leave there can be snapshotted and reused.
- Long commands: raise timeout_seconds, or run them in the background and follow them with sandbox_process. Past its limit a command is stopped, your sandbox goes on.
- Report with job_report: a short status when a phase begins, and every number that matters as a metric, with its step.
- Check your work by running it. Never report a number you have not measured.
- sandbox_snapshot keeps a state worth returning to or forking from.
- Your last message is the result that reaches whoever delegated the job, and all they see of your work. Make it complete and short: what you did, the numbers, where the files are, what failed.`;

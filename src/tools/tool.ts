import type { z } from "zod";

/*
 * Tools as this plugin sees them. A host adapter turns a `Tool` into the host's own kind of tool, and each of the
 * host's calls into a `ToolCall`.
 */

export interface Tool {
  readonly name: string;
  /** For the model. */
  readonly description: string;
  /** The arguments as the model is told of them: one zod 4 type per name. */
  readonly args: z.ZodRawShape;
  /**
   * Checks the arguments, runs the tool and answers. Failures a model can act on are answers too, with
   * `metadata.error`; a host need not check anything.
   * @throws PermissionRefused when the user refused; Error for a stopped turn or a bug
   */
  run(args: unknown, call: ToolCall): Promise<ToolAnswer>;
}

export interface ToolAnswer {
  readonly title: string;
  /** What the model reads. */
  readonly output: string;
  readonly metadata: Record<string, unknown>;
  /** Ids of jobs that the call has started, whose models may be asked before its answer is given. */
  readonly started?: readonly string[];
  /** Markdown that stays below the call, for people: the host keeps it from models. Made when it is shown. */
  readonly view?: () => string;
  /** Files that the model gets to see besides the text. */
  readonly attachments?: readonly Attachment[];
}

export interface Attachment {
  /** "image/png" */
  readonly mime: string;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** One call of a tool, made by a model in a session of the host. */
export interface ToolCall {
  readonly sessionID: string;
  /** The model's message that holds the call. */
  readonly messageID: string;
  /** Unique within the message. */
  readonly callID: string;
  /** The agent that the session's turn runs as. */
  readonly agent: string;
  /** Where the session is open on the host, absolute. */
  readonly directory: string;
  /** Aborted when the turn is stopped. */
  readonly abort: AbortSignal;
  /** The session's model as `provider/model`, and its variant; null when the host does not say. */
  model(): Promise<{ readonly model: string | null; readonly variant: string | null }>;
  /** The user's message that this call answers, if images are attached to it; null = none are. */
  imagesFrom(): Promise<string | null>;
  /**
   * Tools the user forbids to this session, and so to jobs it starts.
   * @throws PluginError when the host does not say: unknown means forbidden
   */
  forbiddenToJobs(): Promise<readonly string[]>;
  /** Whether the session's model takes such files; null when the host does not say. */
  sees(kind: "image" | "pdf"): boolean | null;
  /**
   * The session that this one was forked from, if this one's own conversation shows that it started one of the jobs; of
   * any job without ids. null for every other session: foreign jobs are not told of.
   */
  forkedFrom(jobIDs?: readonly string[]): Promise<ForkOrigin | null>;
  /**
   * The job in whose session the call is made; null = in a session of the user's own.
   * @throws PluginError when the host does not say: an unknown session must not count as the user's
   */
  job(): Promise<{ readonly job: string } | null>;
  /** Opens a view of the running call for people. */
  progress(): Progress;
  /** Asks under the user's rules. */
  ask(question: Question): Promise<AskAnswer>;
}

export interface ForkOrigin {
  readonly sessionID: string;
  /** null when the session is deleted. */
  readonly title: string | null;
}

export interface Progress {
  /** Replaces what is shown. The view is made when it is sent, which is not each time. */
  show(view: () => ProgressView): void;
  /** The same at once: resolves when clients have been told of it. For what must be on screen before a question. */
  showNow(view: () => ProgressView): Promise<void>;
  /** Removes it, unless the answer has a view that takes its place. Awaited before the tool answers, so that no update follows the answer. */
  stop(): Promise<void>;
}

export interface ProgressView {
  readonly title: string;
  /** Markdown, shown below the running call. */
  readonly text: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface Question {
  /** The permission the user's rules name. */
  readonly permission: string;
  /** What it is wanted for; the rules decide by these. */
  readonly patterns: readonly string[];
  /** For whoever is asked. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * "allowed" by the user's rules, by the user, or because no rule names the permission; "refused" by a rule or the user;
 * "cannot_ask" when a rule wants a question and nobody can answer it: the host has no way to ask, or the turn was
 * stopped before the answer came.
 */
export type AskAnswer = "allowed" | "refused" | "cannot_ask";

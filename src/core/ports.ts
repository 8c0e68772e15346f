import type { Closed } from "./closed-session.ts";
import type { JobOrigin } from "./job.ts";
import type { Delivery, OrchestratorView } from "./notice.ts";
import type { SubjectRule } from "./subject-rules.ts";
import type { Transcript } from "./turn-outcome.ts";

/*
 * What the domain needs from its host. `src/hosts` implements it, tests fake it. Failures reject with `PluginError`.
 */

/** Child sessions: where the agents of jobs work, each with its transcript and its model loop. */
export interface ChildSessions {
  /**
   * Creates a job's session, in which all tools but the sandbox tools are denied.
   * @throws PluginError `session_create_failed`
   */
  create(request: ChildSessionRequest): Promise<string>;
  /**
   * Hands over one prompt and returns as soon as it is accepted. `read` shows when the turn has ended.
   * @throws PluginError `prompt_failed`, also for a session that is `closed`
   */
  prompt(request: PromptRequest): Promise<void>;
  /**
   * Adds a message to the turn under way: the model reads it at its next step.
   * @throws PluginError `prompt_failed`
   */
  tell(request: PromptRequest): Promise<void>;
  /**
   * The session as it is now: its activity and its newest messages, back to `fromMessageID`.
   * @param all whether to read many of them, which takes longer: else a few
   */
  read(sessionID: string, fromMessageID: string, all?: boolean): Promise<Transcript>;
  /** Whether the session takes no prompt. Messages that were undone, which a redo brings back, a prompt deletes for good. */
  closed(sessionID: string): Promise<Closed | null>;
  /** Stops the session's model loop. No-op if the session is idle. */
  abort(sessionID: string): Promise<void>;
  /** Subscribes to the events of all sessions. Returns the function that ends the subscription. */
  on(listener: (event: SessionEvent) => void): () => void;
}

/** Sessions that jobs were started from. They belong to the user: a message to one never breaks a running turn. */
export interface OrchestratorSessions {
  /** The session above this one; null for a session of the user's own. @throws PluginError when it cannot be read */
  parentOf(sessionID: string): Promise<string | null>;
  /** The sessions with a turn under way. @throws PluginError when the host does not say */
  atWork(): Promise<ReadonlySet<string>>;
  /**
   * The session as it is now, and what it shows of these deliveries and of the calls that started jobs.
   * @throws PluginError when it cannot be read
   */
  view(sessionID: string, deliveries: readonly Delivery[], origins?: readonly JobOrigin[]): Promise<OrchestratorView>;
  /**
   * Sends a message of the plugin's. It starts a turn of an idle session, and a busy one takes it up at its next step.
   * Sending again under the same id does not double it.
   * @throws PluginError `prompt_failed`, also for a session that is `closed`
   */
  post(message: OrchestratorMessage): Promise<void>;
}

export interface OrchestratorMessage {
  readonly sessionID: string;
  readonly messageID: string;
  readonly text: string;
}

export interface ChildSessionRequest {
  readonly orchestrator: string;
  readonly jobID: string;
  readonly title: string;
  readonly agent: string;
  /** Sandbox tools to deny as well. */
  readonly forbidden: readonly string[];
}

export interface PromptRequest {
  readonly sessionID: string;
  /** Chosen by the plugin; the turn is found under it in the transcript. */
  readonly messageID: string;
  readonly agent: string;
  /** `provider/model`; null = the default of the agent or the host. */
  readonly model: string | null;
  /** null = the default of the model. */
  readonly variant?: string | null | undefined;
  readonly text: string;
  /** The message of another session whose images go with the prompt. */
  readonly images?: ImageSource | null | undefined;
}

/** A message of the user's, whose images the host holds. */
export interface ImageSource {
  readonly sessionID: string;
  readonly messageID: string;
}

/** Hints only; `read` gives the real state. */
export type SessionEvent =
  | { readonly kind: "touched"; readonly sessionID: string }
  /** What the host stores of the session itself has changed: an undo, a redo, its place in the archive. */
  | { readonly kind: "changed"; readonly sessionID: string }
  | { readonly kind: "error"; readonly sessionID: string; readonly message: string }
  | {
      readonly kind: "retry";
      readonly sessionID: string;
      readonly attempt: number;
      readonly message: string;
      /** Epoch ms of the next try. */
      readonly nextAt: number;
    }
  /** The session is busy and no longer waits to repeat a model request. */
  | { readonly kind: "progress"; readonly sessionID: string }
  /** The model has sent something. */
  | { readonly kind: "output"; readonly sessionID: string }
  /** A step of the turn has ended: tokens and cost have changed. `isLast`: the model asks for no tool, so the session comes to rest. */
  | { readonly kind: "step"; readonly sessionID: string; readonly isLast?: boolean }
  | {
      readonly kind: "tool";
      readonly sessionID: string;
      /** Id of the call: several may run at once. */
      readonly call: string;
      readonly tool: string;
      readonly running: boolean;
      /** Of one that has ended: a name of the call and its answer (`repeatKey`), and how long it ran. */
      readonly ended?: { readonly key: string; readonly tookMs: number | null };
    }
  /** The host waits with a question to the user, and the session's call with it. Told of sessions of jobs only. */
  | { readonly kind: "question"; readonly sessionID: string; readonly request: string; readonly isOpen: boolean }
  /** A question in a job's session, or in one below it, was answered without the user. */
  | {
      readonly kind: "answered";
      readonly sessionID: string;
      readonly jobID: string;
      readonly orchestrator: string;
      /** The host's name for what was asked. */
      readonly question: string;
      readonly isAllowed: boolean;
    }
  /** The user's own message was stored: in the terminal, over HTTP, by a command. Not one that only a plugin wrote. */
  | { readonly kind: "user_wrote"; readonly sessionID: string; readonly messageID: string }
  | { readonly kind: "deleted"; readonly sessionID: string };

/** What a task may name. Read in advance, so that starting jobs waits for nothing. */
export interface Catalog {
  readonly agents: readonly CatalogAgent[];
  /** Every configured model, by `provider/model`. */
  readonly models: ReadonlyMap<string, CatalogModel>;
  readonly skills: readonly CatalogSkill[];
}

export interface CatalogModel {
  /** Names of its variants, such as degrees of reasoning. */
  readonly variants: readonly string[];
  readonly seesImages: boolean;
}

export interface CatalogAgent {
  readonly name: string;
  readonly model: string | null;
  /** Of its own model. */
  readonly variant: string | null;
  /** Its system prompt, if it is an agent of the user's. */
  readonly prompt: string | null;
  /** Sandbox tools that its jobs do not get, because the user denies the agent the matching host tools. */
  readonly forbidden: readonly string[];
  /** The user's rules for single files and skills, which hold for its jobs' tools. */
  readonly rules: readonly SubjectRule[];
  /** The user's rules for single commands, which are not enforced in a sandbox. */
  readonly unenforced: readonly string[];
}

export interface CatalogSkill {
  readonly name: string;
  /** Its instructions, without the front matter. */
  readonly content: string;
  /** Absolute path of its folder on the host. */
  readonly folder: string;
  /** Root of the project that the skill comes with; null for a skill of the user's. */
  readonly project: string | null;
}

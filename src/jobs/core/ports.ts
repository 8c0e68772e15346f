import type { Delivery, OrchestratorView } from "./notice.ts";
import type { Transcript } from "./turn-outcome.ts";

/*
 * What the domain needs of its host. `plugin/` fills these for OpenCode 1.x; tests fill them with fakes. Failures
 * reject with `PluginError`.
 */

/** Child sessions: the transcript store and the model loop of jobs. */
export interface ChildSessions {
  /**
   * Creates the session a job lives in, with rules that deny every tool but the sandbox ones.
   * @throws PluginError `session_create_failed`
   */
  create(request: ChildSessionRequest): Promise<string>;
  /**
   * Hands over one prompt and returns as soon as it is accepted. The turn's end is learnt by `read`.
   * @throws PluginError `prompt_failed`
   */
  prompt(request: PromptRequest): Promise<void>;
  /**
   * Adds a word to a turn that is under way: the model reads it at its next step.
   * @throws PluginError `prompt_failed`
   */
  tell(request: PromptRequest): Promise<void>;
  /** The session now: its activity and the newest messages, back to `fromMessageID`. */
  read(sessionID: string, fromMessageID: string): Promise<Transcript>;
  /** Stops the session's model loop; an idle session is no error. */
  abort(sessionID: string): Promise<void>;
  /** Everything heard of any session. Returns the function that ends the subscription. */
  on(listener: (event: SessionEvent) => void): () => void;
}

/** Sessions that jobs were started from. They belong to the user: what is said to them never breaks a running turn. */
export interface OrchestratorSessions {
  /** The session now, and what it shows of these deliveries. @throws PluginError when it cannot be read */
  view(sessionID: string, deliveries: readonly Delivery[]): Promise<OrchestratorView>;
  /**
   * Hands over a message of ours. It starts a turn of an idle session, and is taken up by a busy one at its next step.
   * Repeated under the same id it is the same message.
   * @throws PluginError `prompt_failed`
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
  /** Tools of jobs that this one has not. */
  readonly forbidden: readonly string[];
}

export interface PromptRequest {
  readonly sessionID: string;
  /** Ours, made just before; it names the turn in the transcript. */
  readonly messageID: string;
  readonly agent: string;
  /** `provider/model`; null leaves it to the agent, then to the host's default. */
  readonly model: string | null;
  readonly text: string;
}

/** Hints: `read` decides what is true. */
export type SessionEvent =
  | { readonly kind: "touched"; readonly sessionID: string }
  | { readonly kind: "error"; readonly sessionID: string; readonly message: string }
  | {
      readonly kind: "retry";
      readonly sessionID: string;
      readonly attempt: number;
      readonly message: string;
      /** Epoch ms of the next try. */
      readonly nextAt: number;
    }
  /** It is busy, and the model request is no longer being repeated. */
  | { readonly kind: "progress"; readonly sessionID: string }
  /** Something came from the model. */
  | { readonly kind: "output"; readonly sessionID: string }
  /** A step of the turn is over: tokens and cost have changed. */
  | { readonly kind: "step"; readonly sessionID: string }
  | {
      readonly kind: "tool";
      readonly sessionID: string;
      /** Names the call; several may run at once. */
      readonly call: string;
      readonly tool: string;
      readonly running: boolean;
    }
  | { readonly kind: "deleted"; readonly sessionID: string };

/** What may be named in a task. Read ahead of need, so that starting jobs waits for nothing. */
export interface Catalog {
  readonly agents: readonly CatalogAgent[];
  /** `provider/model` of every configured model. */
  readonly models: ReadonlySet<string>;
  readonly skills: readonly CatalogSkill[];
}

export interface CatalogAgent {
  readonly name: string;
  readonly model: string | null;
  /** Its own system text, for agents a user defined. */
  readonly prompt: string | null;
  /** Tools that the user forbids to it, and so to its jobs. */
  readonly forbidden: readonly string[];
  /** What he forbids to it besides, of single commands and files, and nobody keeps in a sandbox. */
  readonly notHeld: readonly string[];
}

export interface CatalogSkill {
  readonly name: string;
  /** Its text, without front matter. */
  readonly content: string;
  /** Absolute path of its folder on the host. */
  readonly folder: string;
  /** Root of the project that it came with; null when it is the user's own. */
  readonly project: string | null;
}

import type { PromptRequest } from "../../core/ports.ts";
import type { Transcript } from "../../core/turn-outcome.ts";
import type { Failure } from "../../shared/error-code.ts";

/** One execution of a job: from `starting` to its end, or to the end of this process. */
export interface Execution {
  /** Tells executions of a job apart: it may be ended, woken and started again while an earlier one unwinds. */
  readonly leaseID: string | null;
  /** Unwinds the execution: its job was ended, or interrupted, by someone else. */
  readonly abort: AbortController;
  /** Stops the making of its first sandbox, and the wait for it: the job needs none any more. */
  readonly noSandbox: AbortController;
  phase: ExecutionPhase;
  /** Position of the turn that was prompted last; null = none yet. */
  turn: number | null;
  /** What that turn has said so far: the result of a job that is stopped. */
  words: string;
  /** What its model has used, where the state could not be written to. */
  unsavedUse: Pick<Transcript, "tokens" | "usd"> | null;
}

/** A turn that was prompted and has not ended. */
export interface OpenTurn {
  readonly abort: AbortController;
  readonly request: PromptRequest;
  /** Whether its first prompt was stopped for silence. */
  readonly isRetry: boolean;
}

export type ExecutionPhase =
  | { readonly kind: "between_turns" }
  | { readonly kind: "in_turn"; readonly turn: OpenTurn }
  /** The command of a run is under way. */
  | {
      readonly kind: "in_command";
      readonly abort: AbortController;
      /** Keeps the numbers of the line that its output is writing. */
      readonly flush: () => void;
    }
  /** The turn went silent and is being stopped, to be prompted once more. */
  | { readonly kind: "retrying_turn"; readonly turn: OpenTurn; readonly wrapUpFailure: Failure | null }
  /** The agent was told to finish. No further turn starts; after the present one the job fails with `wrapUpFailure`. */
  | { readonly kind: "wrapping_up"; readonly turn: OpenTurn | null; readonly wrapUpFailure: Failure }
  /** The job fails with `stopFailure` as soon as its turn is at rest and its files are kept. */
  | { readonly kind: "stopping"; readonly stopFailure: Failure }
  /** Once its turn is at rest, the job goes on in a new sandbox, or fails. */
  | {
      readonly kind: "sandbox_lost";
      readonly lossFailure: Failure;
      /** The turn is not to be taken up again: a message interrupted it. */
      readonly isTurnDropped: boolean;
      /** Stops the making of the new sandbox. */
      readonly giveUp: AbortController;
    };

export const createExecution = (leaseID: string | null): Execution => ({
  leaseID,
  abort: new AbortController(),
  noSandbox: new AbortController(),
  phase: { kind: "between_turns" },
  turn: null,
  words: "",
  unsavedUse: null,
});

/** The turn under way; null between turns, and when the job is ending whatever the turn still brings. */
export const openTurnOf = (phase: ExecutionPhase): OpenTurn | null => ("turn" in phase ? phase.turn : null);

/** Stops what is under way, a turn or a command; null when nothing is, or when it is being stopped. */
export const stopperOf = (phase: ExecutionPhase): AbortController | null =>
  phase.kind === "in_command" ? phase.abort : (openTurnOf(phase)?.abort ?? null);

/** Whether the job is ending, whatever its turn still brings. */
export const isEnding = ({ kind }: ExecutionPhase): boolean => kind === "stopping";

/** Whether no prompt may be sent now. */
export const isHalted = (phase: ExecutionPhase): boolean => isEnding(phase) || phase.kind === "sandbox_lost";

/** A turn was prompted. @param phase one that is not halted */
export function withTurn(phase: ExecutionPhase, turn: OpenTurn): ExecutionPhase {
  const wrapUpFailure = "wrapUpFailure" in phase ? phase.wrapUpFailure : null;
  return wrapUpFailure ? { kind: "wrapping_up", turn, wrapUpFailure } : { kind: "in_turn", turn };
}

/** The turn is at rest. */
export function withoutTurn(phase: ExecutionPhase): ExecutionPhase {
  if (isHalted(phase)) return phase;
  const wrapUpFailure = "wrapUpFailure" in phase ? phase.wrapUpFailure : null;
  return wrapUpFailure ? { kind: "wrapping_up", turn: null, wrapUpFailure } : { kind: "between_turns" };
}

/** The turn under way is to be prompted once more. No change between turns. */
export function toRetrying(phase: ExecutionPhase): ExecutionPhase {
  const turn = openTurnOf(phase);
  if (!turn) return phase;
  return { kind: "retrying_turn", turn, wrapUpFailure: "wrapUpFailure" in phase ? phase.wrapUpFailure : null };
}

/** The turn under way is not to be repeated after all. */
export function toNotRetrying(phase: ExecutionPhase): ExecutionPhase {
  if (phase.kind === "sandbox_lost") return { ...phase, isTurnDropped: true };
  return phase.kind === "retrying_turn" ? withTurn(phase, phase.turn) : phase;
}

/** No change if the agent was told before, or the job is ending. */
export function toWrappingUp(phase: ExecutionPhase, wrapUpFailure: Failure): ExecutionPhase {
  switch (phase.kind) {
    case "between_turns":
      return { kind: "wrapping_up", turn: null, wrapUpFailure };
    case "in_turn":
      return { kind: "wrapping_up", turn: phase.turn, wrapUpFailure };
    case "retrying_turn":
      return { ...phase, wrapUpFailure: phase.wrapUpFailure ?? wrapUpFailure };
    default:
      return phase;
  }
}

/** The first cause of an ending wins. */
export const toStopping = (phase: ExecutionPhase, stopFailure: Failure): ExecutionPhase =>
  isEnding(phase) ? phase : { kind: "stopping", stopFailure };

/** The sandbox is lost. A job that was told to finish has no time left for another one. */
export function toLost(phase: ExecutionPhase, lossFailure: Failure): ExecutionPhase {
  if (isHalted(phase)) return phase;
  if ("wrapUpFailure" in phase && phase.wrapUpFailure) return { kind: "stopping", stopFailure: phase.wrapUpFailure };
  return { kind: "sandbox_lost", lossFailure, isTurnDropped: false, giveUp: new AbortController() };
}

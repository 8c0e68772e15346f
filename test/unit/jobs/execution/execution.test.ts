import { describe, expect, test } from "bun:test";
import {
  type ExecutionPhase,
  isEnding,
  type OpenTurn,
  openTurnOf,
  toNotRetrying,
  toRetrying,
  toStopping,
  toWrappingUp,
  withoutTurn,
  withTurn,
} from "../../../../src/jobs/execution/execution.ts";
import type { Failure } from "../../../../src/shared/error-code.ts";

const turn = (isRetry = false): OpenTurn => ({
  abort: new AbortController(),
  request: { sessionID: "ses", messageID: "msg", agent: "sandbox_worker", model: null, text: "go" },
  isRetry,
});
const late: Failure = { code: "timed_out", message: "late", retryable: true };
const broke: Failure = { code: "budget_exceeded", message: "broke", retryable: false };
const BETWEEN: ExecutionPhase = { kind: "between_turns" };

describe("the phase of an execution", () => {
  test("is between turns again when its turn has ended", () => {
    const phase = withTurn(BETWEEN, turn());
    expect(phase.kind).toBe("in_turn");
    expect(withoutTurn(phase)).toEqual(BETWEEN);
  });

  test("keeps its wrap-up failure while a turn is retried", () => {
    const wrapping = toWrappingUp(withTurn(BETWEEN, turn()), late);
    expect(wrapping).toMatchObject({ kind: "wrapping_up", wrapUpFailure: late, turn: { isRetry: false } });
    const retried = withTurn(withoutTurn(toRetrying(wrapping)), turn(true));
    expect(retried).toMatchObject({ kind: "wrapping_up", wrapUpFailure: late, turn: { isRetry: true } });
    expect(withoutTurn(retried)).toEqual({ kind: "wrapping_up", wrapUpFailure: late, turn: null });
  });

  test("ignores a second wrap-up", () => {
    const wrapping = toWrappingUp(BETWEEN, late);
    expect(toWrappingUp(wrapping, broke)).toBe(wrapping);
    const retrying = toWrappingUp(toRetrying(withTurn(BETWEEN, turn())), late);
    expect(toWrappingUp(retrying, broke)).toMatchObject({ kind: "retrying_turn", wrapUpFailure: late });
  });

  test("is not changed by a retry between turns", () => expect(toRetrying(BETWEEN)).toBe(BETWEEN));

  test("goes back from a retry to its turn if a message stops that turn", () => {
    const open = turn();
    expect(toNotRetrying(toRetrying(withTurn(BETWEEN, open)))).toEqual({ kind: "in_turn", turn: open });
  });

  test("stops for the first cause, even during a retry or a wrap-up, and then has no turn to retry", () => {
    for (const phase of [BETWEEN, toRetrying(withTurn(BETWEEN, turn())), toWrappingUp(BETWEEN, late)]) {
      const stopping = toStopping(phase, broke);
      expect(stopping).toEqual({ kind: "stopping", stopFailure: broke });
      expect([toStopping(stopping, late), toWrappingUp(stopping, late), toRetrying(stopping)]).toEqual([
        stopping,
        stopping,
        stopping,
      ]);
      expect([openTurnOf(stopping), isEnding(stopping), withoutTurn(stopping)]).toEqual([null, true, stopping]);
    }
  });
});

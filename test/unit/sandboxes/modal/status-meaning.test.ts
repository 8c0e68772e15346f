import { describe, expect, test } from "bun:test";
import { isRetryable, kindOf, withRetryAfter } from "../../../../src/sandboxes/modal/modal-error.ts";
import { pauseAfter } from "../../../../src/sandboxes/modal/past-rate-limit.ts";
import { retryAfterMs } from "../../../../src/sandboxes/modal/throttled-calls.ts";

const [DENIED, EXHAUSTED, PRECONDITION, UNAVAILABLE] = [7, 8, 9, 14];
const refusal = (code: number, details: string) =>
  Object.assign(new Error("x"), { name: "ClientError", code, details });

describe("what a status code means that has several meanings", () => {
  const table: [number, string, string][] = [
    [EXHAUSTED, "Sandbox creation rate limit (5/s) exceeded", "rate"],
    [EXHAUSTED, "Sandbox creation rate limit exceeded. Try again later.", "rate"],
    [EXHAUSTED, "Rate-limited", "rate"],
    [EXHAUSTED, "Too many requests", "rate"],
    [EXHAUSTED, "Request was throttled", "rate"],
    [EXHAUSTED, "The workspace's limit of 100 running sandboxes is reached.", "quota"],
    [EXHAUSTED, "Workspace GPU limit of 10 exceeded", "quota"],
    [EXHAUSTED, "Container usage limit: 100", "quota"],
    [EXHAUSTED, "GPU usage limit reached: 10 of 10 in use", "quota"],
    [EXHAUSTED, "Workspace has reached its limit of 100 concurrent containers. Upgrade your plan at https://modal.com/settings/billing to raise this limit.", "quota"],
    [EXHAUSTED, "Container limit of 100 reached for this workspace. See https://modal.com/settings/usage/budget/limit", "quota"],
    [EXHAUSTED, "GPU limit reached. Add credits or upgrade your plan to increase the limit.", "quota"],
    [EXHAUSTED, "Your workspace has exceeded its concurrent sandbox limit (100), which resets with your billing plan", "quota"],
    [EXHAUSTED, "Starter plan limit of 10 GPUs reached; visit billing settings to raise the cap", "quota"],
    [EXHAUSTED, "", "quota"],
    [EXHAUSTED, "something new", "quota"],
    [EXHAUSTED, "Insufficient capacity to create sandbox.", "capacity"],
    [EXHAUSTED, "No capacity for H100:8", "capacity"],
    [EXHAUSTED, "Function call failed: workspace billing cycle spend limit reached", "spend"],
    [EXHAUSTED, "Rate limited: workspace billing cycle spend limit reached", "spend"],
    [EXHAUSTED, "Workspace has reached its spend limit; no further sandbox or GPU can be started", "spend"],
    [EXHAUSTED, "Usage limit of $30 reached, no sandbox can be made", "spend"],
    [EXHAUSTED, "Workspace free credit limit reached", "spend"],
    [EXHAUSTED, "No payment method on file. See https://modal.com/settings/billing", "spend"],
    [PRECONDITION, "Budget exceeded, so the sandbox was not created", "spend"],
    [PRECONDITION, "Workspace budget exceeded", "spend"],
    [PRECONDITION, "You are out of credits", "spend"],
    [PRECONDITION, "The workspace has no remaining credits", "spend"],
    [PRECONDITION, "Workspace monthly usage limit of $30 reached", "spend"],
    [PRECONDITION, "Add a payment method to run sandboxes", "spend"],
    [DENIED, "Workspace ada has exceeded its spending limit", "spend"],
    [DENIED, "Token does not have access to this environment", "unauthorized"],
    [PRECONDITION, "Image im-123 has expired", "expired"],
    [PRECONDITION, "Snapshot no longer exists", "expired"],
    [PRECONDITION, "The sandbox's filesystem snapshot was garbage collected", "expired"],
    [PRECONDITION, "Sandbox sb-1 is not running.", "ended"],
    [PRECONDITION, "Sandbox has already shut down", "ended"],
    [PRECONDITION, "Task ta-1 has finished with status: TERMINATED", "ended"],
    [PRECONDITION, "Secret is missing key(s): TOKEN", "other"],
    [PRECONDITION, "", "other"],
  ]; // biome-ignore format: a table
  for (const [code, message, kind] of table)
    test(`${code} "${message}" is ${kind}`, () => expect<string>(kindOf(refusal(code, message))).toBe(kind));

  test("with a retry policy it is a refusal for rate, whatever the words", () => {
    expect(kindOf(withRetryAfter(refusal(EXHAUSTED, "later"), 500))).toBe("rate");
    expect(kindOf(withRetryAfter(refusal(UNAVAILABLE, "later"), 500))).toBe("unreachable");
  });

  test("a refusal for rate or quota passes, a spent budget does not", () => {
    expect([isRetryable("rate"), isRetryable("quota"), isRetryable("spend")]).toEqual([true, true, false]);
  });
});

describe("a pause before a throttled call is made again", () => {
  test("grows from what Modal asks for, or from a second, up to half a minute, with chance in it", () => {
    expect([1, 2, 3, 9].map((refusals) => pauseAfter(refusals, null, 0))).toEqual([1_000, 2_000, 4_000, 30_000]);
    expect([1, 2].map((refusals) => pauseAfter(refusals, 4_000, 0))).toEqual([4_000, 8_000]);
    expect([pauseAfter(1, 0, 0), pauseAfter(1, null, 1)]).toEqual([100, 1_500]);
  });

  test("is read from the status of the reply, and nothing else is", () => {
    const type = Buffer.from("type.googleapis.com/modal.client.RPCRetryPolicy");
    const seconds = Buffer.alloc(4);
    seconds.writeFloatLE(2.5);
    const policy = (...value: number[]) =>
      Buffer.concat([Buffer.from([8, 8, 26, 60, 10, type.length]), type, Buffer.from(value)]);
    expect(retryAfterMs(policy(0x12, 5, 0x0d, ...seconds))).toBe(2_500);
    expect([retryAfterMs(policy()), retryAfterMs(policy(0x12, 0))]).toEqual([0, 0]);
    expect([retryAfterMs(undefined), retryAfterMs(Buffer.from("another.Detail")), retryAfterMs("x")]).toEqual([
      null,
      null,
      null,
    ]);
  });
});

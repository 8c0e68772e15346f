import { describe, expect, test } from "bun:test";
import { resetIn } from "../../../src/core/reset-time.ts";
import { decideRetry, usageLimitFailure } from "../../../src/core/usage-limit.ts";

const NOW = Date.UTC(2026, 10, 26, 13, 0, 0); // a Thursday
const HOUR = 3_600_000;
const at = (text: string, headers: Record<string, string> = {}) => {
  const found = resetIn(text, headers, NOW);
  return found === null ? null : new Date(found).toISOString().slice(0, 16);
};
const local = (...wall: [number, number, number, number, number]) => new Date(...wall).toISOString().slice(0, 16);

describe("the time at which a limit resets", () => {
  const cases: [text: string, expected: string | null][] = [
    ["usage limit reached, resets in 5 hours", "2026-11-26T18:00"],
    ["5 hour usage limit reached. It will reset in 4 hours 3 minutes. To continue", "2026-11-26T17:03"],
    ["You've hit your usage limit. Try again in 3 days 4 hours 12 minutes.", "2026-11-29T17:12"],
    ["Your quota will reset after 5h12m.", "2026-11-26T18:12"],
    ["RESOURCE_EXHAUSTED. Please retry in 12h3m4.5s.", "2026-11-27T01:03"],
    ["Please try again in 20s. Visit https://x", "2026-11-26T13:00"],
    ["Rate limited. Please wait 90 minutes before you continue", "2026-11-26T14:30"],
    ['{"error":{"type":"usage_limit_reached","resets_in_seconds":18000}}', "2026-11-26T18:00"],
    ['{"error":{"type":"usage_limit_reached","resets_at":1795716000}}', "2026-11-26T18:00"],
    ["retry-after: 18000", "2026-11-26T18:00"],
    ['"retryDelay": "18000s"', "2026-11-26T18:00"],
    ['{"metadata":{"headers":{"X-RateLimit-Reset":"1795716000000"}}}', "2026-11-26T18:00"],
    ["Claude AI usage limit reached|1795716000", "2026-11-26T18:00"],
    ["usage limit reached, resets at 18:00 UTC", "2026-11-26T18:00"],
    ["limit reached ∙ resets 6pm (Europe/Berlin)", "2026-11-26T17:00"],
    ["resets at 9:30 AM UTC", "2026-11-27T09:30"],
    ["You have exceeded the 5-hour usage quota. It will reset at 2026-11-27 02:11:46 +0800 CST.", "2026-11-26T18:11"],
    ["Your limit will reset at 2026-11-26T18:00:00Z", "2026-11-26T18:00"],
    ["Try again at Dec 5th, 2026 8:32 PM UTC", "2026-12-05T20:32"],
    ["Your limit will reset on November 27 at 6:00 PM UTC", "2026-11-27T18:00"],
    ["weekly limit reached, resets Mon 12:00 AM UTC", "2026-11-30T00:00"],
    ["usage limit reached, resets at 18:00", local(2026, 10, 26, 18, 0)],
    ["Usage limit reached for 5 hour. Your limit will reset at 2026-11-27 20:30:24", local(2026, 10, 27, 20, 30)],
    ["Usage limit reached for 5 hour", null],
    ["You exceeded your current quota, please check your plan and billing details", null],
    ["It reset at 2020-01-01T00:00:00Z", null],
    ["The model is overloaded", null],
  ];
  for (const [text, expected] of cases) test(`in "${text.slice(0, 90)}"`, () => expect(at(text)).toBe(expected));

  test("in the headers of the answer, before its text", () => {
    expect(at("resets in 9 hours", { "retry-after": "18000" })).toBe("2026-11-26T18:00");
    expect(at("", { "retry-after": "Thu, 26 Nov 2026 18:00:00 GMT" })).toBe("2026-11-26T18:00");
    expect(at("", { "retry-after-ms": "18000000" })).toBe("2026-11-26T18:00");
    expect(at("", { "anthropic-ratelimit-unified-reset": "1795716000" })).toBe("2026-11-26T18:00");
  });
});

describe("a wait before a request is repeated", () => {
  const STALL = 15 * 60_000;
  const retry = (message: string, inMs: number) => decideRetry({ message, nextAt: NOW + inMs }, STALL, NOW);

  test("is waited out up to the limit for silent models", () => {
    expect(retry("Rate limit exceeded", 8_000)).toBeNull();
    expect(retry("Usage limit reached, resets in 10 minutes", STALL)).toBeNull();
  });

  test("ends the job at once where it is longer, with the time and how to go on", () => {
    const failure = retry("Free usage exceeded, subscribe to Go", 5 * HOUR);
    expect(failure).toMatchObject({ code: "usage_limit", retryable: true });
    expect(failure?.message).toContain("Free usage exceeded, subscribe to Go. That changes at 2026-11-26 18:00 UTC.");
    expect(failure?.message).toContain("agents_message after 2026-11-26 18:00 UTC to go on");
  });

  test("counts what the message says, where the next try comes sooner", () => {
    expect(retry("5-hour usage limit reached. It will reset in 5 hours.", 2_000)?.message).toContain("18:00 UTC");
    expect(retry("Request 77 failed. Try again in 5 hours.", 2_000)).toBeNull();
  });

  test("of a provider that is overloaded for hours is no usage limit", () => {
    expect(retry("Provider is overloaded", 5 * HOUR)?.code).toBe("model_error");
  });
});

describe("a refusal", () => {
  const refused = (status: number | null, text: string, headers = {}) =>
    usageLimitFailure({ status, text, headers }, text, NOW);
  for (const [status, text] of [
    [429, "Too Many Requests"],
    [429, '{"error":{"code":"rate_limit_exceeded"}}'],
    [429, "You exceeded your current quota (insufficient_quota)"],
    [403, "You have reached your weekly usage limit"],
    [400, "Your monthly quota exceeded"],
    [429, "Rate limit exceeded: free-models-per-day"],
  ] as const) {
    test(`with ${status} "${text}" is for a usage limit, whose reset is not known`, () => {
      expect(refused(status, text)).toMatchObject({ code: "usage_limit", retryable: true });
      expect(refused(status, text)?.message).toContain("It did not say when that changes.");
    });
  }
  test("names the time that the answer names", () => {
    expect(refused(429, "limit", { "retry-after": "18000" })?.message).toContain("2026-11-26 18:00 UTC");
  });
  for (const [status, text] of [
    [400, "Insufficient credit"],
    [402, "Insufficient balance"],
    [401, "Invalid API key"],
    [529, "Overloaded"],
    [429, "The engine is currently overloaded"],
    [400, "prompt is too long: 210000 tokens > 200000 maximum"],
    [null, "fetch failed"],
  ] as const) {
    test(`with ${status} "${text}" is for another reason`, () => expect(refused(status, text)).toBeNull());
  }
});

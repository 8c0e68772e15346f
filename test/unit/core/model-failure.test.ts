import { expect, test } from "bun:test";
import { toTurnFailure } from "../../../src/core/model-failure.ts";

const told = (name: string, message: string, retryable: boolean | null = null) =>
  toTurnFailure({ name, message, retryable }, 0);

test("a connection that broke is told without advice for programmers", () => {
  const message =
    "Cannot connect to API: The socket connection was closed unexpectedly. For more information, pass `verbose: true` in the second argument to fetch()";
  expect(told("APIError", message)).toEqual({
    code: "model_error",
    message:
      "The connection to the model's provider was closed before its answer was complete. The job's files are kept: send it a message to go on.",
    retryable: true,
  });
});

test.each<[string, string, boolean | null]>([
  ['{"message":"Provider returned error","code":502}', "Provider returned error (502)", true],
  ['{"message":"Slow down.","code":"429"}', "Slow down (429)", true],
  ['{"error":{"message":"Bad request","status":400}}', "Bad request (400)", null],
  ['{"message":"odd","code":"server_odd"}', "odd", null],
])("an error in the middle of an answer is told in words: %s", (given, words, retryable) => {
  const message = `The model's provider broke its answer off with an error: ${words}.`;
  expect(told("UnknownError", given)).toEqual({ code: "model_error", message, retryable });
});

test.each(["Insufficient Balance", "{}", "{not JSON", '{"code":502}'])(
  "anything else is told as it is: %s",
  (given) => {
    expect(told("APIError", given, false)).toEqual({
      code: "model_error",
      message: `APIError: ${given}`,
      retryable: false,
    });
  },
);

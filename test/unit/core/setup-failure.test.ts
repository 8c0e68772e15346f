import { expect, test } from "bun:test";
import { describeSetupFailure, hideValues } from "../../../src/core/setup-failure.ts";

const AT = { environment: "python", step: 2, of: 5, command: "pip install -r requirements.txt" };
const lines = (n: number, text = "line") => Array.from({ length: n }, (_, index) => `${text} ${index + 1}`).join("\n");

test("a failed set-up says which command failed, how, and its last forty lines", () => {
  const said = describeSetupFailure(AT, { kind: "exited", code: 3 }, lines(60), [], []);
  expect(said).toStartWith(
    "Could not set up environment python: command 2 of 5, `pip install -r requirements.txt`, ended with exit code 3. To repair it, change `setup` of environments.python in the options; the next job runs it again. Its last lines:\nline 21\n",
  );
  expect(said).toEndWith("\nline 60");
});

test("of long lines as many are told as an error has room for, the newest ones", () => {
  const said = describeSetupFailure(AT, { kind: "exited", code: 1 }, lines(40, "x".repeat(200)), [], []);
  expect(said.length).toBeLessThan(4_000);
  expect(said).toEndWith(" 40");
});

test("what it printed cannot hide anything, and values of variables are not told", () => {
  const output = "\u001b[31mtoken abcdef123\u001b[0m\u202e\nTOKEN=abcdef\n";
  const said = describeSetupFailure(
    { ...AT, command: "echo abcdef123" },
    { kind: "signalled", signal: "SIGKILL" },
    output,
    ["abcdef", "abcdef123", "1"],
    [],
  );
  expect(said).toContain("`echo [hidden]`, was killed by SIGKILL. ");
  expect(said).toEndWith("Its last lines:\ntoken [hidden]\nTOKEN=[hidden]");
  for (const unseen of ["\u001b", "\u202e"]) expect(said).not.toContain(unseen);
});

test("a set-up that took too long, and one that said nothing", () => {
  const said = describeSetupFailure(
    AT,
    { kind: "late", limitMinutes: 20 },
    "\n \n",
    [],
    ["No network: pasta is not installed."],
  );
  expect(said).toContain("was stopped, because the whole set-up may take 20 minutes (modal.buildTimeoutMinutes)");
  expect(said).toEndWith("Of its sandbox: No network: pasta is not installed. It printed nothing.");
});

test("short values are words, and stay", () => expect(hideValues("prod 1 yes", ["1", "yes"])).toBe("prod 1 yes"));

test("of a value of several lines no line is told, however few of them the text has", () => {
  const key = `-----BEGIN KEY-----\n${lines(60, "AAAAB3NzaC1yc2E")}\r\n{\n-----END KEY-----\n`;
  const said = describeSetupFailure(AT, { kind: "exited", code: 1 }, `{ "a": 1 }\n${key}`, [key], []);
  expect(said).not.toContain("AAAAB3NzaC1yc2E");
  expect(said).not.toContain("END KEY");
  expect(hideValues('{ "a": 1 }', [key])).toBe('{ "a": 1 }'); // its shortest lines are words
});

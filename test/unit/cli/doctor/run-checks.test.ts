import { expect, test } from "bun:test";
import { fault, ok, warning } from "../../../../src/cli/doctor/finding.ts";
import { hideSecrets, secretsIn } from "../../../../src/cli/doctor/hide-secrets.ts";
import { renderDiagnosis } from "../../../../src/cli/doctor/render.ts";
import { type Check, runChecks } from "../../../../src/cli/doctor/run-checks.ts";
import { createProgress } from "../../../../src/cli/progress.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const check = (name: string, run: Check["run"], change: Partial<Check> = {}): Check => ({
  name,
  doing: `Looking at ${name}`,
  limitMs: 1000,
  ifBroken: "warning",
  run,
  ...change,
});

function open(checks: readonly Check[]) {
  const clock = createFakeClock();
  const stop = new AbortController();
  const progress = createProgress({ write: () => {} }, clock, true);
  return { clock, stop, diagnosis: runChecks(checks, { clock, progress, signal: stop.signal }) };
}

test("faults come first, then warnings, each group in the order of the checks", async () => {
  const { diagnosis } = open([
    check("a", async () => [ok("a", "A."), warning("a2", "A2.", "Do.")]),
    check("b", async () => [fault("b", "B.", "Do."), warning("b2", "B2.", "Do.")]),
  ]);
  const { ok: isOk, findings } = await diagnosis;
  expect([isOk, findings.map(({ name }) => name)]).toEqual([false, ["b", "a2", "b2", "a"]]);
});

test("a check that throws is a finding, and the others are made", async () => {
  const { diagnosis } = open([
    check("broken", () => {
      throw new Error("Cannot find package 'zod'");
    }),
    check("fine", async () => [ok("fine", "Fine.")]),
  ]);
  expect((await diagnosis).findings).toEqual([
    { name: "broken", level: "warning", meaning: "This could not be checked: Cannot find package 'zod'.", remedy: expect.any(String) },
    ok("fine", "Fine."),
  ]);
}); // biome-ignore format: a table

test("a check that never ends is stopped at its limit, and clears up before anything is said", async () => {
  let isCleared = false;
  const { clock, diagnosis } = open([
    check(
      "endless",
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            isCleared = true;
            reject(new Error("stopped"));
          });
        }),
      { ifBroken: "fault" },
    ),
  ]);
  await clock.advance(1000);
  const { ok: isOk, findings } = await diagnosis;
  expect([isOk, isCleared, findings[0]?.meaning]).toEqual([
    false,
    true,
    "This could not be checked: Looking at endless took longer than 1 s.",
  ]);
});

test("an interruption ends all checks after they have cleared up, and those that do not clear up too", async () => {
  const { clock, stop, diagnosis } = open([check("deaf", () => new Promise(() => {}))]);
  stop.abort();
  await clock.advance(20_000);
  expect((await diagnosis).findings[0]?.level).toBe("warning");
});

test("a person reads what is wrong with what to do, and the rest in one line each", () => {
  const findings = [fault("x", "It is\nbroken.", "Mend it."), ok("y", "All\nwell.")];
  expect(renderDiagnosis({ ok: false, findings })).toBe(
    "✗ fault, x: It is\n    broken.\n    → Mend it.\n✓ y: All well.\n\n1 fault.",
  );
  expect(renderDiagnosis({ ok: true, findings: [] })).toEndWith("Nothing is wrong.");
});

test("no finding shows a secret, wherever its message came from", () => {
  const env = { MODAL_TOKEN_SECRET: "as-verysecret", HTTPS_PROXY: "http://ada:longpassword@proxy:1", SSH_AUTH_SOCK: "/run/agent/socket", HOME: "/home/ada", A_KEY: "short" }; // biome-ignore format: one line
  const secrets = secretsIn(env, ["ak-fromthefile"]);
  const given = fault("x", "as-verysecret ak-fromthefile /run/agent/socket /home/ada", "longpassword short");
  expect(hideSecrets(given, secrets)).toEqual(
    fault("x", "[hidden] [hidden] /run/agent/socket /home/ada", "[hidden] short"),
  );
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSent } from "../../../src/export/sent.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

let stateDir = "";
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "sent-"));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

test("what was sent is written once a second and at the end, not once for each of thousands of runs", async () => {
  const clock = createFakeClock();
  const open = () => openSent(stateDir, ["mlflow", "http://x", "p"], { isAgain: false, clock });
  const sent = open();
  sent.prepare();
  const [name = ""] = readdirSync(join(stateDir, "exports"));
  const text = () => readFileSync(join(stateDir, "exports", name), "utf8");
  const texts = new Set([text()]);
  for (let n = 0; n < 300; n++) {
    sent.save(`job_${n}`, { id: `run${n}`, newest: {}, state: "" });
    texts.add(text());
    await clock.advance(10);
  }
  expect(texts.size).toBeLessThanOrEqual(4);
  expect(open().of("job_299")).toBeNull();
  sent.close();
  expect(open().of("job_299")?.id).toBe("run299");
});

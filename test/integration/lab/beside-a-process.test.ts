import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLab } from "../../../src/lab/open-lab.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { until } from "../../support/wait.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lab-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("does not disturb a process that writes all the time, and notices that it was killed: nobody works on its jobs", async () => {
  const writer = fileURLToPath(new URL("writer-main.ts", import.meta.url));
  const child = Bun.spawn([process.execPath, writer, root], { stdout: "pipe", stderr: "inherit" });
  const lab = await openLab({ stateDir: root, clock: systemClock });
  try {
    let isWritten = false;
    const reader = child.stdout.getReader();
    void reader.read().then(() => {
      isWritten = true;
    });
    const costs = new Set<number | undefined>();
    await until(
      () => {
        costs.add(lab.view("ses_1")?.jobs[0]?.usd.model);
        return isWritten;
      },
      { what: "all is written", everyMs: 1 },
    );
    expect(costs.size).toBeGreaterThan(1);
    expect(lab.view("ses_1")).toMatchObject({
      isLive: true,
      jobs: [{ state: "running", usd: { model: 3_000 } }],
      problems: [],
    });
    let heard = 0;
    lab.watch("ses_1", 50, () => heard++);
    child.kill("SIGKILL");
    await child.exited;
    await until(() => heard > 0, { what: "the end of the process is noticed" });
    expect(lab.view("ses_1")).toMatchObject({
      isLive: false,
      jobs: [{ state: "interrupted", usd: { model: 3_000 } }],
      problems: [],
    });
    expect(await lab.ask("ses_1", { kind: "cancel", jobs: ["job_1"] })).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("No OpenCode has this session in use"),
    });
  } finally {
    child.kill("SIGKILL");
    lab.close();
  }
});

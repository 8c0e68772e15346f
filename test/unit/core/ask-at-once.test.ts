import { expect, test } from "bun:test";
import { mayAskAtOnce, waitsLong } from "../../../src/core/ask-at-once.ts";
import type { Job } from "../../../src/core/job.ts";
import type { CreationStep } from "../../../src/sandboxes/creation-steps.ts";
import { jobIn } from "../views/job-in.ts";

const NEW = { wasPrompted: false, updatesFiles: false };
const { task } = jobIn({ kind: "starting" });
const job = (more: Partial<Job> = {}): Job => ({ ...jobIn({ kind: "starting" }), sandbox: { kind: "none" }, ...more });
const withTask = (more: Partial<Job["task"]>): Job => job({ task: { ...task, ...more } });

test.each<[what: string, job: Job, turn: typeof NEW, isAsked: boolean]>([
  ["a new job", job(), NEW, true],
  ["one whose process died while its sandbox was made", job({ sandbox: { kind: "creating" } }), NEW, true],
  ["one that is revived from its snapshot", job({ sandbox: { kind: "parked", snapshotID: "snap_1" } }), NEW, true],
  ["one from a snapshot", withTask({ snapshotID: "snap_1" }), NEW, true],
  ["one from an image", withTask({ source: { kind: "image", id: "im-1" } }), NEW, true],
  ["one that has its sandbox", job({ sandbox: { kind: "live", id: "sbx_1" } }), NEW, false],
  ["one whose sandbox is gone", job({ sandbox: { kind: "gone" } }), NEW, false],
  ["one that has lost its sandbox", job({ loss: { at: 0, why: "killed", files: null } }), NEW, false],
  ["one that wants a GPU", withTask({ gpu: "H100:8|A100" }), NEW, false],
  ["one from a job whose files are being frozen", withTask({ source: { kind: "job", id: "job_2" } }), NEW, false],
  ["a turn that was prompted before", job(), { ...NEW, wasPrompted: true }, false],
  ["a turn that updates the job's files first", job(), { ...NEW, updatesFiles: true }, false],
])("%s", (_, one, turn, isAsked) => {
  expect(mayAskAtOnce(one, turn)).toBe(isAsked);
});

test("a creation that waits for an image, a limit or a machine takes long; its turn and its boot do not", () => {
  const steps: CreationStep[] = [
    { kind: "building", since: 0, image: "i", line: null },
    { kind: "limited", since: 0, why: "full" },
    { kind: "waiting", since: 0, gpu: "T4" },
    { kind: "turn", since: 0, perSecond: 4 },
    { kind: "booting", since: 0 },
  ];
  expect([null, ...steps].map(waitsLong)).toEqual([false, true, true, true, false, false]);
});

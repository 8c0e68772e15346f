import { describe, expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { mayBeMadeAhead } from "../../../src/core/made-ahead.ts";

const run = { command: "true", reuse: false, measures: null, files: [] };
const job = {
  provider: "local",
  startedBy: null,
  origin: null,
  state: { kind: "queued", since: 0 },
  sandbox: { kind: "none" },
  task: { run, gpu: null, snapshotID: null, environment: "default", skills: [] },
} as unknown as Job;
const withTask = (task: object): Partial<Job> => ({ task: { ...job.task, ...task } as Job["task"] });

describe("the sandbox of a queued job is made ahead", () => {
  const yes: [what: string, change: Partial<Job>][] = [
    ["of a run in a local sandbox", {}],
    ["of a run that starts from a snapshot", withTask({ snapshotID: "snap_1" })],
    ["of a run that starts from an image", withTask({ source: { kind: "image", id: "debian" } })],
  ];
  test.each(yes)("%s", (_, change) => expect(mayBeMadeAhead({ ...job, ...change })).toBe(true));
});

describe("no sandbox is made ahead", () => {
  const no: [what: string, change: Partial<Job>][] = [
    ["where it costs money", { provider: "modal" }],
    ["of an agent's job, whose project may be newer by the time it starts", withTask({ run: null })],
    ["of a run with a GPU, which is chosen when it starts", withTask({ gpu: "H100" })],
    [
      "of a run that may get the sandbox of another",
      { ...withTask({ run: { ...run, reuse: true } }), origin: {} as never },
    ],
    ["of a run that a job has started", { startedBy: "job_1" }],
    ["of a run that starts from files that still change", withTask({ source: { kind: "job", id: "job_1" } })],
    ["of a run that has started", { state: { kind: "starting", since: 0, leaseID: "l" } as Job["state"] }],
    ["of a run that had one", { sandbox: { kind: "gone" } }],
  ];
  test.each(no)("%s", (_, change) => expect(mayBeMadeAhead({ ...job, ...change })).toBe(false));
});

import { describe, expect, test } from "bun:test";
import type { Job, JobSandbox } from "../../../src/core/job.ts";
import type { SnapshotRecord } from "../../../src/core/snapshot-record.ts";
import { decideTask, type TaskContext, type TaskRequest } from "../../../src/core/task.ts";
import { CATALOG } from "../jobs/runtime-world.ts";

const job = (id: string, sandbox: JobSandbox, state: string = "completed", provider = "local") =>
  ({ id, sandbox, state: { kind: state }, provider }) as unknown as Job;
const JOBS: Record<string, Job> = Object.fromEntries(
  [
    job("job_live", { kind: "live", id: "sb-1" }, "running"),
    job("job_resting", { kind: "live", id: "sb-2" }),
    job("job_lost", { kind: "gone" }, "running"),
    job("job_parked", { kind: "parked", snapshotID: "best" }),
    job("job_woken", { kind: "parked", snapshotID: "best" }, "queued"),
    job("job_expired", { kind: "parked", snapshotID: "snap_gone" }),
    job("job_gone", { kind: "gone" }, "failed"),
    job("job_failed", { kind: "none" }, "failed"),
    job("job_queued", { kind: "none" }, "queued"),
    job("job_starting", { kind: "creating" }, "starting"),
    job("job_modal", { kind: "live", id: "sb-3" }, "running", "modal"),
  ].map((one) => [one.id, one]),
);

const context: TaskContext = {
  catalog: CATALOG,
  environments: { default: { gpu: null }, python: { gpu: null }, cuda: { gpu: "t4" } },
  gpuLimits: { total: 8, H100: 4 },
  provider: "local",
  findJob: (id) => JOBS[id] ?? null,
  newestOf: () => null,
  findSnapshot: (name) =>
    name === "best" ? ({ id: "snap_1", provider: "local", jobID: "job_made_it" } as SnapshotRecord) : null,
  lostLabel: () => null,
  ownerOf: (id) => (id === "sb-own" ? "job_1" : null),
  isSnapshot: (id) => id === "im-foreign",
  orchestratorModel: "acme/large",
  orchestratorVariant: null,
  forbidden: [],
};
const decide = (more: Partial<TaskRequest> = {}) =>
  decideTask({ description: "d", prompt: "Do it.", ...more }, context);
const accepted = (more: Partial<TaskRequest> = {}) => {
  const decision = decide(more);
  if (decision.kind !== "accepted") throw new Error(decision.failure.message);
  return decision.task;
};
const refusal = (more: Partial<TaskRequest>) => {
  const decision = decide(more);
  if (decision.kind !== "refused") throw new Error(`accepted ${JSON.stringify(decision.task)}`);
  expect(decision.failure).toMatchObject({ code: "invalid_task", retryable: false });
  return decision.failure.message;
};

test("fills in what a task leaves out", () => {
  expect(accepted()).toEqual({
    description: "d",
    prompt: "Do it.",
    agent: "sandbox_worker",
    model: "acme/large",
    variant: null,
    environment: "default",
    gpu: null,
    snapshotID: null,
    skills: [],
    forbidden: [],
    rules: [],
    timeoutMinutes: null,
    maxUsd: null,
    run: null,
  });
});

test("keeps what a task names, and resolves a snapshot's label to its id", () => {
  const named = { agent: "reviewer", model: "acme/large", environment: "python", from: "best", skills: ["golf"] };
  expect(accepted(named)).toMatchObject({ agent: "reviewer", model: "acme/large", environment: "python" });
  expect(accepted(named)).toMatchObject({ snapshotID: "snap_1", skills: ["golf"] });
});

test("uses the task's model, else the agent's, else the orchestrator's", () => {
  expect(accepted({ agent: "reviewer", model: "acme/large" }).model).toBe("acme/large");
  expect(accepted({ agent: "reviewer" }).model).toBe("acme/small");
  expect(accepted().model).toBe("acme/large");
});

test('"none" drops a GPU in any case', () => {
  expect(accepted({ gpu: "none" }).prompt).toBe("Do it.");
  expect(accepted({ gpu: "None" }).prompt).toBe("Do it.");
});

describe("a refusal names the field, the value and the known values:", () => {
  const cases: [string, Partial<TaskRequest>, string[]][] = [
    ["an empty prompt", { prompt: " \n" }, ["prompt"]],
    ["a prompt too long", { prompt: "x".repeat(1_000_001) }, ["prompt", "1000001", "1000000"]],
    ["a GPU", { gpu: "H100:8" }, ["gpu", "H100:8"]],
    ["a GPU of its environment", { environment: "cuda" }, ["gpu", "t4"]],
    ["a GPU that does not exist", { gpu: "H1000" }, ["gpu", "H1000"]],
    ["an agent", { agent: "nobody" }, ["agent", "nobody", "sandbox_worker, reviewer"]],
    ["a model", { model: "acme/none" }, ["model", "acme/none", "acme/large, acme/small"]],
    ["an environment", { environment: "ruby" }, ["environment", "ruby", "default, python"]],
    ["a snapshot", { from: "worst" }, ["from", "worst", "sandbox_snapshot"]],
    ["a skill", { skills: ["golf", "chess"] }, ["skill", "chess", "golf"]],
  ];
  for (const [what, request, words] of cases) {
    test(what, () => {
      const message = refusal(request);
      for (const word of words) expect(message).toContain(word);
    });
  }

  test("a snapshot of another provider", () => {
    const message = decideTask({ description: "d", prompt: "p", from: "best" }, { ...context, provider: "modal" });
    if (message.kind !== "refused") throw new Error("accepted");
    expect(message.failure.message).toContain('provider "local"');
  });

  test("lists at most twenty known names", () => {
    const many = {
      ...context,
      environments: Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`env${i}`, { gpu: null }])),
    };
    const decision = decideTask({ description: "d", prompt: "p", environment: "x" }, many);
    if (decision.kind !== "refused") throw new Error("accepted");
    expect(decision.failure.message).toContain("env19, and 5 more.");
    expect(decision.failure.message).not.toContain("env20");
  });
});

describe("on Modal a task's GPUs", () => {
  const gpuOf = (request: Partial<TaskRequest>) => {
    const decision = decideTask({ description: "d", prompt: "p", ...request }, { ...context, provider: "modal" });
    if (decision.kind !== "accepted") throw new Error(decision.failure.message);
    return decision.task.gpu;
  };

  test("are its own, in canonical form, in order of preference", () => {
    expect(gpuOf({ gpu: "h100:8|H200:8" })).toBe("H100:8|H200:8");
  });

  test("are those of its environment unless it names others", () => {
    expect(gpuOf({ environment: "cuda" })).toBe("T4");
    expect(gpuOf({ environment: "cuda", gpu: "L4" })).toBe("L4");
    expect(gpuOf({ environment: "cuda", gpu: "none" })).toBeNull();
    expect(gpuOf({})).toBeNull();
  });
});

test.each<[string, Partial<TaskRequest>, string | null, string | null]>([
  ["the orchestrator's", {}, "high", "high"],
  ["none where the orchestrator has none", {}, null, null],
  ["its own", { variant: "low" }, "high", "low"],
  ["none, if it asks for none", { variant: "default" }, "high", null],
  ["none for another model without the orchestrator's", { model: "acme/small" }, "high", null],
  ["the orchestrator's for another model that has it", { model: "acme/small" }, "low", "low"],
  ["its agent's, for the agent's own model", { agent: "thinker" }, "high", "low"],
  [
    "the orchestrator's, for an agent's model that it replaces",
    { agent: "thinker", model: "acme/large" },
    "high",
    "high",
  ],
])("a task runs on this variant: %s", (_what, more, orchestratorVariant, expected) => {
  const thinker = { ...CATALOG.agents[1], name: "thinker", variant: "low" } as (typeof CATALOG.agents)[number];
  const catalog = { ...CATALOG, agents: [...CATALOG.agents, thinker] };
  const decision = decideTask({ description: "d", prompt: "x", ...more }, { ...context, catalog, orchestratorVariant });
  expect(decision).toMatchObject({ kind: "accepted", task: { variant: expected } });
});

test("refuses a variant that the task's model does not have, and names those it has", () => {
  expect(refusal({ variant: "ultra" })).toContain(
    'variant of acme/large "ultra" is not configured; there are: low, high',
  );
  expect(refusal({ variant: "high", agent: "reviewer" })).toContain("there is: low");
});

test("refuses to give a job the usual agent where OpenCode has none, and takes another one", () => {
  const catalog = { ...CATALOG, agents: CATALOG.agents.filter(({ name }) => name === "reviewer") };
  const decide = (more: Partial<TaskRequest>) =>
    decideTask({ description: "d", prompt: "Do it.", ...more }, { ...context, catalog });
  expect(decide({})).toMatchObject({
    kind: "refused",
    failure: { message: expect.stringMatching(/no agent "sandbox_worker".*disable.*reload OpenCode/s) },
  });
  expect(decide({ agent: "reviewer" }).kind).toBe("accepted");
});

test("starts from a running sandbox or an image at Modal, and refuses both in local sandboxes", () => {
  const onModal = (from: string, more: Partial<TaskRequest> = {}) =>
    decideTask({ description: "d", prompt: "Do it.", from, ...more }, { ...context, provider: "modal" });
  const sourceOf = (from: string) => {
    const decision = onModal(from);
    return decision.kind === "accepted" ? decision.task.source : decision.failure.code;
  };
  expect(sourceOf("sb-own")).toEqual({ kind: "sandbox", id: "sb-own", jobID: "job_1" });
  expect(sourceOf("sb-0123456789abcdefABCDEF")).toMatchObject({ kind: "sandbox", jobID: null });
  expect(sourceOf("01ARZ3NDEKTSV4RRFFQ69G5FAV")).toMatchObject({ kind: "sandbox", jobID: null });
  expect(sourceOf("im-0123456789abcdefABCDEF")).toEqual({ kind: "image", id: "im-0123456789abcdefABCDEF" });
  for (const from of ["im-foreign", "im-1:/a", "im-", "sb-", "sb-a/../b", "best practice"])
    expect(sourceOf(from)).toBe("invalid_task");
  expect(onModal("sb-own", { skills: ["none such"] })).toMatchObject({ kind: "refused" });
  expect(refusal({ from: "sb-own" })).toContain("sandbox_snapshot");
  expect(refusal({ from: "im-0123" })).toContain("Modal");
});

test("starts from a job's newest files: frozen while it has a sandbox, else those it was parked with", () => {
  const pointOf = (from: string, over: Partial<TaskContext> = {}) => {
    const decision = decideTask({ description: "d", prompt: "Do it.", from }, { ...context, ...over });
    if (decision.kind !== "accepted") throw new Error(decision.failure.message);
    const { task, parent } = decision;
    return { parent, source: task.source, snapshotID: task.snapshotID };
  };
  for (const id of ["job_live", "job_resting", "job_lost"])
    expect(pointOf(id)).toEqual({ parent: id, source: { kind: "job", id }, snapshotID: null });
  for (const id of ["job_parked", "job_woken"])
    expect(pointOf(id)).toEqual({ parent: id, source: undefined, snapshotID: "snap_1" });
  const newest = { id: "snap_2", provider: "local", jobID: "job_gone" } as SnapshotRecord;
  expect(pointOf("job_gone", { newestOf: () => newest })).toMatchObject({ parent: "job_gone", snapshotID: "snap_2" });
  expect(pointOf("best").parent).toBe("job_made_it");
  // A label may be any text, also another job's id.
  const labelled = { findSnapshot: () => ({ id: "snap_3", provider: "local", jobID: "job_3" }) as SnapshotRecord };
  expect(pointOf("job_live", labelled)).toMatchObject({ parent: "job_live", snapshotID: null });
});

test.each([
  ["job_expired", ["snap_gone", "expired"]],
  ["job_gone", ["gone", "no snapshot"]],
  ["job_failed", ["ended before it had a sandbox"]],
  ["job_queued", ["no sandbox yet", "agents_wait"]],
  ["job_starting", ["no sandbox yet", "agents_wait"]],
  ["job_modal", ["modal", "local"]],
  ["job_unknown", ["no job or snapshot of this session"]],
] as const)("refuses to start from %s, which has no files here, and says why", (from, parts) => {
  for (const part of [from, ...parts]) expect(refusal({ from })).toContain(part);
});

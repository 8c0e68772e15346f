import { describe, expect, test } from "bun:test";
import type { SnapshotRecord } from "../../../src/core/snapshot-record.ts";
import { decideTask, type TaskContext, type TaskRequest } from "../../../src/core/task.ts";
import { CATALOG } from "../jobs/runtime-world.ts";

const context: TaskContext = {
  catalog: CATALOG,
  environments: { default: { gpu: null }, python: { gpu: null }, cuda: { gpu: "t4" } },
  gpuLimits: { total: 8, H100: 4 },
  provider: "local",
  findSnapshot: (name) => (name === "best" ? ({ id: "snap_1", provider: "local" } as SnapshotRecord) : null),
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

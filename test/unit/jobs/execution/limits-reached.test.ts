import { expect, test } from "bun:test";
import { watchLimits } from "../../../../src/jobs/execution/limits-reached.ts";

const FAILED = { kind: "exited", code: 6 } as const;
const NOW = "\n[The sandbox has lost its network, which is started again where that can help: it is gone]";
const BEFORE =
  "\n[The sandbox was without its network for a moment while this ran, and its connections were cut. It has it again]";

for (const [name, during, status, says] of [
  ["that there is no network now", { losses: 1, lost: "it is gone" }, FAILED, NOW],
  ["that the network was lost while they ran", { losses: 2, lost: null }, FAILED, BEFORE],
  ["nothing of a network that was lost before", { losses: 1, lost: null }, FAILED, ""],
  ["nothing if they did not fail", { losses: 2, lost: "it is gone" }, { kind: "exited", code: 0 }, ""],
] as const)
  test(`commands that failed say ${name}`, () => {
    let state: { losses: number; lost: string | null } = { losses: 1, lost: null };
    const network = { losses: () => state.losses, lost: () => state.lost };
    const sandbox = { memory: null, processes: null, network };
    const explain = watchLimits({ job: undefined, sandbox, environments: {} });
    state = during;
    expect(explain(status, false)).toBe(says);
  });

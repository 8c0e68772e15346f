import { NOTHING_GIVEN } from "../../../src/core/job.ts";
import { startJobs } from "../../../src/jobs/actions/start-jobs.ts";
import { createFakeProcess, type FakeProcess } from "../tools/fake-process.ts";
import { CATALOG, ORCHESTRATOR, type World } from "./runtime-world.ts";

/** Has the machine's commands be those of runs. What ends an earlier try finds nothing. */
export function followRuns(world: World): FakeProcess[] {
  const started: FakeProcess[] = [];
  world.machine.onStart = ({ argv }) => {
    const process = createFakeProcess(`${started.length}`, "/logs/1.log");
    if (argv.join(" ").includes("/proc/")) process.end({ kind: "exited", code: 0 });
    else started.push(process);
    return process;
  };
  return started;
}

/** Starts runs as the agent of a job does. */
export async function startRuns(
  world: World,
  jobID: string,
  count: number,
  startedBy = world.job(jobID),
): Promise<string[]> {
  const requests = Array.from({ length: count }, (_, n) => ({ description: `run ${n}`, command: "train" }));
  const jobs = await startJobs(world.runtime, requests, {
    orchestrator: ORCHESTRATOR,
    origin: { sessionID: "ses_child", messageID: "msg_1", callID: `call_${count}` },
    catalog: CATALOG,
    orchestratorModel: null,
    orchestratorVariant: null,
    given: { ...NOTHING_GIVEN, notes: [] },
    forbidden: [],
    startedBy,
  });
  return jobs.map(({ id }) => id);
}

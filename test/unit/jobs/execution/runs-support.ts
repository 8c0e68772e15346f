import { Database } from "bun:sqlite";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { createFakeProcess, type FakeProcess } from "../../tools/fake-process.ts";
import { ORCHESTRATOR, type World } from "../runtime-world.ts";

export const run = (command: string, more: object = {}) => ({ description: command, command, ...more });

export interface Started {
  readonly process: FakeProcess;
  readonly env: Readonly<Record<string, string>>;
  readonly command: string;
}

/** Has the machine's commands be those of runs. What ends an earlier try finds nothing. */
export function followRuns(world: World): Started[] {
  const started: Started[] = [];
  world.machine.onStart = ({ argv, env = {} }) => {
    const process = createFakeProcess(`${started.length}`, "/logs/1.log");
    if (argv.join(" ").includes("/proc/")) process.end({ kind: "exited", code: 0 });
    else started.push({ process, env, command: argv.at(-1) ?? "" });
    return process;
  };
  return started;
}

/** As when a process is killed: it marks nothing. */
export async function killAndReopen(world: World): Promise<void> {
  await world.close(world.runtime);
  const database = new Database(sessionFile(world.stateDir, ORCHESTRATOR));
  database.run(`UPDATE jobs SET record = replace(record, ',"stopped":true', '')`);
  database.close();
  await world.reopen();
}

export const begun = async (world: World, started: readonly Started[], count = 1): Promise<Started> => {
  await world.clock.until(`${count} commands have started`, () => started.length >= count);
  return started[count - 1] as Started;
};

export const exited = (code: number) => ({ kind: "exited", code }) as const;

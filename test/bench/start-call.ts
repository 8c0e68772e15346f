import { call, say, script } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { report, timed } from "./stats.ts";

const JOBS = 8;

/** Times the call that starts eight jobs, and creating eight child sessions one by one: the least a plugin could do. */
export async function benchStartCall(rounds: number): Promise<void> {
  const setup = await startSetup();
  const { server } = setup;
  const tasks = Array.from({ length: JOBS }, (_, n) => ({ description: `job ${n}`, prompt: script(say("done")) }));
  const ours: number[] = [];
  const byHand: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const session = await server.createSession();
    await server.prompt(session.id, script(call("agents_start", { tasks }), call("agents_wait", {}), say("ok")));
    const [part] = await server.toolParts(session.id, "agents_start");
    if (part?.state.status !== "completed") throw new Error("agents_start failed");
    const { start, end } = part.state.time;
    const ms = await timed(async () => {
      for (let n = 0; n < JOBS; n++) await server.createSession({ parentID: session.id, title: `by hand ${n}` });
    });
    if (round === 0) continue; // the first call also opens the store
    ours.push(end - start);
    byHand.push(ms);
  }
  report(
    `Starting ${JOBS} jobs`,
    { name: "agents_start, the whole call", samples: ours },
    { name: `creating ${JOBS} sessions by hand`, samples: byHand },
  );
  await setup.stop();
}

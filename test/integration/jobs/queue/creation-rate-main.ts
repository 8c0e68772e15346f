import { createSharedCreationLimiter } from "../../../../src/jobs/queue/shared-creation-limiter.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { systemClock } from "../../../../src/shared/clock.ts";

/** Takes turns to create sandboxes and prints when it got each, in a process of its own. */
const [, , stateDir = "", turns = "0", perSecond = "1", burst = "1", dies = ""] = process.argv;
const keepAlive = setInterval(() => {}, 1_000);
const pool = await openPoolStore(stateDir);
const rate = { perSecond: Number(perSecond), burst: Number(burst) };
const limiter = createSharedCreationLimiter({ pool, rate, clock: systemClock, log: () => {} });
const taking = Array.from({ length: Number(turns) }, () =>
  limiter.take().then(() => void process.stdout.write(`${Date.now()}\n`)),
);
if (dies !== "") process.kill(process.pid, "SIGKILL");
await Promise.all(taking);
clearInterval(keepAlive);
pool.close();

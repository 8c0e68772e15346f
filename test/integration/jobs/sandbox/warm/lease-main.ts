import { chooseWarm } from "../../../../../src/core/warm.ts";
import { toOwner } from "../../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../../src/jobs/store/pool-store.ts";

/**
 * Takes warm sandboxes for its jobs as fast as it can, as one OpenCode process of several, and prints which it got. Every
 * second one that it has it gives back, or ends, or makes a job's.
 */
const [, , stateDir = "", name = "", tries = "0", startAt = "0", diesAfter = ""] = process.argv;
const pool = await openPoolStore(stateDir);
const owner = toOwner(name);
while (Date.now() < Number(startAt)); // all begin in the same moment
let got = 0;
for (let n = 0; n < Number(tries); n++) {
  const jobID = `job_${name}_${n}`;
  const warm = pool.takeWarm(
    jobID,
    owner,
    (free) => chooseWarm(free.map((one) => ({ ...one, isReady: one.state === "ready" }))),
    Date.now(),
  );
  if (!warm) continue;
  got++;
  process.stdout.write(`${warm.id} ${jobID}\n`);
  if (got === Number(diesAfter)) process.kill(process.pid, "SIGKILL"); // between taking and using
  if (n % 3 === 0) {
    process.stdout.write(`-${warm.id} ${jobID}\n`);
    pool.returnWarm(warm.id, jobID);
  } else if (n % 3 === 1) pool.deleteWarm(warm.id, Date.now());
}
pool.close();

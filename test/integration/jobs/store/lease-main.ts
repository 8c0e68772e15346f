import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";

/** A process that has a lease, and lives until it is killed. */
const [, , stateDir = ""] = process.argv;
const pool = await openPoolStore(stateDir);
const request = { id: "lease_1", jobID: "job_1", orchestrator: "ses_o", owner: toOwner("holder") };
pool.acquireLease(request, () => ({ slots: 1, gpu: null }), Date.now());
process.stdout.write("held\n");
setInterval(() => {}, 60_000);

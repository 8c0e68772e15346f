import { toOwner } from "../../../src/jobs/store/lease-store.ts";
import { toPartText } from "../../../src/jobs/store/live-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { jobIn } from "../../unit/views/job-in.ts";

/** As an OpenCode that has a session in use: writes as fast as it can, then waits to be killed. */
const [, , stateDir = ""] = process.argv;
const store = await openSessionStore(sessionFile(stateDir, "ses_1"));
store.insert([{ job: jobIn({ kind: "queued" }), turn: null }]);
const part = { maxRunning: 2, gpus: { total: 4 }, budgetUsd: null, problems: [], jobs: new Map() };
store.live.savePart({ owner: toOwner("owner"), at: Date.now(), text: toPartText(part) });
for (let usd = 1; usd <= 3_000; usd++) store.saveJob(jobIn({ kind: "running", leaseID: "l" }, { modelUsd: usd }));
process.stdout.write("written");
setInterval(() => {}, 60_000);

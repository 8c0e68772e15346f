import { CAMPAIGN } from "../chaos/campaign.ts";
import { replay } from "../chaos/replay.ts";
import { median } from "./stats.ts";

/** So long takes a second of the campaign here: its runs of five minutes and more take nine seconds and more. */
const SECOND_MS = 30;

/**
 * Replays a published campaign whose host is killed once in the middle. Shorter runs than the campaign's make the time between
 * them count some thirty times as much. @param count of runs; fewer for a quick look
 */
export async function benchReplay(_rounds: number, count: number = CAMPAIGN.runs): Promise<void> {
  for (const reuse of [false, true]) {
    console.log(
      `Replay of ${count} experiments on ${CAMPAIGN.slots} slots, ${reuse ? "taking over sandboxes" : "each in a sandbox of its own"}`,
    );
    const { use, begunAgain, outageSecs, problems } = await replay({
      runs: count,
      slots: CAMPAIGN.slots,
      secondMs: SECOND_MS,
      reuse,
    });
    const turnover = use.turnovers.length === 0 ? "none" : `${median(use.turnovers).toFixed(0)} ms`;
    console.log(
      `  slots busy ${(use.busy * 100).toFixed(1)} % outside the ${outageSecs.toFixed(1)} s without a host; turnover ${turnover}; begun again ${begunAgain}; ${problems.length === 0 ? "none lost or doubled, the ledger is complete" : `PROBLEMS: ${problems.slice(0, 5).join("; ")}`}\n`,
    );
    if (problems.length > 0) process.exitCode = 1;
  }
}

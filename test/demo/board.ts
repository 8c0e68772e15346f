import type { JobView, SnapshotView } from "../../src/views/job-view.ts";
import type { LeaderboardRow, LiveRow } from "./leaderboard.ts";
import { APPROACHES, REFINEMENTS } from "./plan.ts";

interface HostEvent {
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

interface ToolPart {
  readonly sessionID: string;
  readonly type: string;
  readonly tool?: string;
  readonly state?: {
    readonly status: string;
    readonly input?: { readonly tasks?: readonly { readonly from?: string }[] };
    readonly metadata?: Record<string, unknown>;
  };
}

/** The demo's jobs, read from the events that any client of OpenCode receives. */
export class Board {
  readonly #jobs = new Map<string, JobView>();
  readonly #seenAt = new Map<string, number>();
  readonly #snapshots: SnapshotView[] = [];
  readonly #origins = new Map<string, string>();
  readonly #lastLines = new Map<string, string>();

  read({ type, properties }: HostEvent): void {
    if (type !== "message.part.updated") return;
    const part = properties.part as ToolPart;
    if (part.type !== "tool" || !part.state?.metadata) return;
    const { metadata, input } = part.state;
    if (part.tool === "sandbox_exec" && typeof metadata.output === "string") {
      this.#lastLines.set(part.sessionID, metadata.output.trimEnd().split("\n").at(-1) ?? "");
    }
    if (part.tool === "sandbox_snapshot" && typeof metadata.id === "string") {
      this.#snapshots.push(metadata as unknown as SnapshotView);
    }
    for (const key of ["jobs", "finished", "pending"]) {
      const views = metadata[key];
      if (!Array.isArray(views)) continue;
      for (const [index, view] of (views as JobView[]).entries()) {
        this.#jobs.set(view.id, view);
        this.#seenAt.set(view.id, Date.now());
        const from = part.tool === "agents_start" ? input?.tasks?.[index]?.from : undefined;
        if (from !== undefined) this.#origins.set(view.id, from);
      }
    }
  }

  jobs(): readonly JobView[] {
    return [...this.#jobs.values()];
  }

  /** @param withOutput adds the last line of a running command, for a screen that is redrawn */
  liveRows(withOutput: boolean): LiveRow[] {
    return this.jobs().map((job) => {
      const running = job.state === "running" || job.state === "starting";
      const sinceSeen = running ? (Date.now() - (this.#seenAt.get(job.id) ?? 0)) / 1000 : 0;
      const line =
        withOutput && job.state === "running" && job.sessionID ? this.#lastLines.get(job.sessionID) : undefined;
      return {
        job: shortName(job),
        state: job.state,
        doing: job.error?.message ?? job.reason ?? line ?? job.status,
        valBpb: toNumber(job.metrics.val_bpb?.value),
        bytes: toNumber(job.metrics.bytes?.value),
        seconds: job.elapsedSeconds + sinceSeen,
      };
    });
  }

  leaderboardRows(): LeaderboardRow[] {
    return this.jobs().map((job) => {
      const from = this.#origins.get(job.id);
      const snapshot = this.#snapshots.find(({ id, label }) => from !== undefined && (id === from || label === from));
      const parent = snapshot ? this.#jobs.get(snapshot.job) : undefined;
      return {
        job: shortName(job),
        parent: parent && shortName(parent),
        valBpb: toNumber(job.metrics.val_bpb?.value),
        bytes: toNumber(job.metrics.bytes?.value),
        seconds: job.elapsedSeconds,
      };
    });
  }
}

const PLANNED = APPROACHES.flatMap((one) => [one, ...REFINEMENTS.map((refine) => refine(one.name))]);

/** The plan's name for a job, or the description that a real model gave it. */
function shortName({ description }: JobView): string {
  return PLANNED.find((one) => one.description === description)?.name ?? description;
}

/** A metric that is not a number counts as missing. */
const toNumber = (value: number | string | undefined): number | undefined =>
  typeof value === "number" ? value : undefined;

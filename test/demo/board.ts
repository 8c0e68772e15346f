import type { NoiseFloor } from "../../src/core/experiments/noise.ts";
import type { ExperimentView } from "../../src/views/experiment-view.ts";
import type { JobView } from "../../src/views/job-view.ts";
import type { LiveRow } from "./leaderboard.ts";
import { BENCHMARK } from "./plan.ts";

/** What experiments_list answers besides its text. */
interface Experiments {
  readonly experiments: readonly ExperimentView[];
  readonly noise: NoiseFloor | null;
}

interface HostEvent {
  readonly type: string;
  readonly properties: Record<string, unknown>;
}

interface ToolPart {
  readonly sessionID: string;
  readonly type: string;
  readonly tool?: string;
  readonly state?: { readonly status: string; readonly metadata?: Record<string, unknown> };
}

/** The demo's jobs and experiments, read from the events that any client of OpenCode receives. */
export class Board {
  readonly #jobs = new Map<string, JobView>();
  readonly #seenAt = new Map<string, number>();
  readonly #lastLines = new Map<string, string>();
  /** What jobs said of themselves, by job. */
  readonly #reported = new Map<string, number>();
  #experiments: Experiments | null = null;

  read({ type, properties }: HostEvent): void {
    if (type !== "message.part.updated") return;
    const part = properties.part as ToolPart;
    if (part.type !== "tool" || !part.state?.metadata) return;
    const { metadata } = part.state;
    if (part.tool === "sandbox_exec" && typeof metadata.output === "string") {
      this.#lastLines.set(part.sessionID, metadata.output.trimEnd().split("\n").at(-1) ?? "");
    }
    if (part.tool === "experiments_list" && Array.isArray(metadata.experiments)) {
      this.#experiments = metadata as unknown as Experiments;
    }
    for (const key of ["jobs", "finished", "pending"]) {
      const views = metadata[key];
      if (Array.isArray(views)) for (const view of views as JobView[]) this.#readJob(view);
    }
  }

  #readJob(view: JobView): void {
    this.#jobs.set(view.id, view);
    this.#seenAt.set(view.id, Date.now());
    const metric = view.metrics[BENCHMARK.metric];
    if (metric?.source === "reported" && typeof metric.value === "number") this.#reported.set(view.id, metric.value);
  }

  jobs(): readonly JobView[] {
    return [...this.#jobs.values()];
  }

  experiments(): Experiments | null {
    return this.#experiments;
  }

  /** The jobs whose own number was measured, with both. */
  claims(): { readonly name: string; readonly reported: number; readonly measured: number }[] {
    return (this.#experiments?.experiments ?? []).flatMap(({ job, description, source, mean }) => {
      const reported = this.#reported.get(job);
      const isMeasured = source === "clean" && typeof mean === "number";
      return reported !== undefined && isMeasured ? [{ name: description, reported, measured: mean }] : [];
    });
  }

  /** @param withOutput adds the last line of a running command, for a screen that is redrawn */
  liveRows(withOutput: boolean): LiveRow[] {
    return this.jobs().map((job) => {
      const running = job.state === "running" || job.state === "starting";
      const sinceSeen = running ? (Date.now() - (this.#seenAt.get(job.id) ?? 0)) / 1000 : 0;
      const line =
        withOutput && job.state === "running" && job.sessionID ? this.#lastLines.get(job.sessionID) : undefined;
      const metric = job.metrics[BENCHMARK.metric] ?? job.metrics.sample_bpb;
      return {
        job: job.description,
        state: job.stopped ? "stopped early" : job.state,
        doing: job.error?.message ?? job.reason ?? line ?? job.status,
        bpb: typeof metric?.value === "number" ? metric.value : undefined,
        seconds: job.elapsedSeconds + sinceSeen,
      };
    });
  }
}

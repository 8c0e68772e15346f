import { oneLine } from "../../shared/plain-text.ts";
import { gpuSteps, type Step } from "../../views/gpu-steps.ts";
import { gpuCount } from "../../views/gpu-totals.ts";
import type { JobView } from "../../views/job-view.ts";
import { type Html, html } from "./html.ts";
import { linear, timeTicks } from "./scale.ts";
import { count, duration, STATE_MARKS } from "./words.ts";

const ROW = 16;
const LEFT = 190;
const WIDTH = 1100;
const TOP = 18;
const GPU_HEIGHT = 60;
/** Jobs that a picture has room for; the table has them all. */
const MOST_BARS = 200;

/** When each job waited and ran, and how many GPUs were held, from the first job's start. */
export function timeline(jobs: readonly JobView[], at: string): Html {
  const now = Date.parse(at);
  const timed = jobs.map((job) => toTimes(job, now));
  const begin = timed.reduce((first, { created }) => Math.min(first, created), now);
  const end = timed.reduce((last, one) => Math.max(last, one.end), begin + 1_000);
  const seconds = (end - begin) / 1000;
  const x = linear([0, seconds], LEFT, WIDTH - 10);
  const shown = timed.slice(-MOST_BARS);
  const gpus = gpuSteps(jobs, now);
  const hasGpus = gpus.some(({ used }) => used > 0);
  const bottom = TOP + shown.length * ROW;
  const height = bottom + (hasGpus ? GPU_HEIGHT + 24 : 6);
  const place = (moment: number) => x.at((moment - begin) / 1000);
  const bars = shown.map((one, index) => bar(one, TOP + index * ROW, place));
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="When each of ${count(shown.length, "job")} waited and ran; the table of jobs has the same numbers">
${timeTicks(seconds).map((tick) => html`<path class="grid" d="M${x.at(tick)} ${TOP - 4}V${bottom}"/><text class="dim" x="${x.at(tick)}" y="10" text-anchor="middle">${duration(tick)}</text>`)}
${bars}${hasGpus && gpuChart(gpus, bottom + 14, place, end)}</svg>
<figcaption>From ${new Date(begin).toISOString()}; grey: waited in the queue. Marks: ${Object.entries(STATE_MARKS)
    .map(([state, mark]) => `${mark} ${state}`)
    .join(
      ", ",
    )}.${timed.length > shown.length && ` The newest ${MOST_BARS} of ${timed.length} jobs; the table below has all.`}</figcaption></figure>`;
}

interface Times {
  readonly job: JobView;
  readonly created: number;
  readonly started: number | null;
  readonly end: number;
}

function toTimes(job: JobView, now: number): Times {
  const started = job.startedAt === undefined ? null : Date.parse(job.startedAt);
  return {
    job,
    created: Date.parse(job.createdAt),
    started,
    end: job.endedAt === undefined ? now : Date.parse(job.endedAt),
  };
}

function bar({ job, created, started, end }: Times, y: number, place: (moment: number) => number): Html {
  const waited = place(started ?? end) - place(created);
  const ran = started === null ? 0 : Math.max(1.5, place(end) - place(started));
  const gpu = job.devices?.[0] ?? job.gpu;
  const name = `${STATE_MARKS[job.state]} ${oneLine(job.description, 26)}`;
  const label = gpuCount(job.gpu) > 0 && gpu !== undefined ? oneLine(gpu, 30) : "";
  const from = place(started ?? created);
  const labelAt = from + ran + 4;
  const isAtEnd = labelAt > WIDTH - 120;
  return html`<g><title>${oneLine(job.description, 80)}: ${job.state}, ${duration(job.elapsedSeconds)}${label && `, ${label}`}</title><text x="${LEFT - 6}" y="${y + 11}" text-anchor="end">${name}</text>${waited > 0.5 && html`<rect class="wait" x="${place(created)}" y="${y + 5}" width="${toFixed(waited)}" height="5"/>`}${ran > 0 && html`<rect class="${job.state}" x="${from}" y="${y + 2}" width="${toFixed(ran)}" height="11" rx="2"/>`}${label && html`<text class="dim" x="${toFixed(isAtEnd ? place(created) - 4 : labelAt)}" y="${y + 11}"${isAtEnd ? END : ""}>${label}</text>`}</g>\n`;
}

const END = html` text-anchor="end"`;
const toFixed = (value: number): number => Math.round(value * 10) / 10;

function gpuChart(steps: readonly Step[], top: number, place: (moment: number) => number, end: number): Html {
  const most = steps.reduce((max, { used }) => Math.max(max, used), 1);
  const y = linear([0, most], top + GPU_HEIGHT, top);
  const path = steps.map(
    ({ at, used }, index) => `${index === 0 ? `M${place(at)} ${y.at(0)}` : `H${place(at)}`}V${y.at(used)}`,
  );
  return html`<text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">GPUs held, at most ${most}</text><path class="grid" d="M${LEFT} ${y.at(0)}H${WIDTH - 10}"/><path class="gpus" d="${path.join("")}H${place(end)}"/>`;
}

import { oneLine, plainText } from "../../shared/plain-text.ts";
import { jobGpuWords, percent } from "../../views/gpu-totals.ts";
import type { JobView } from "../../views/job-view.ts";
import { formatValue } from "../../views/numbers.ts";
import { LEFT_OUT } from "../redact.ts";
import type { Recipe, Report } from "../report.ts";
import { type Html, type HtmlValue, html } from "./html.ts";
import { paramWords } from "./leaderboards.ts";
import { table } from "./table.ts";
import { count, duration, moment, STATE_MARKS, usd } from "./words.ts";

/** Characters of a result, prompt or command on the page; `--json` has them whole. */
const MOST_TEXT = 20_000;
/** Of all texts together, so that a page of a thousand results still opens at once. */
const MOST_TEXTS = 4_000_000;
const LONGEST_LINE = 2_000;

export function jobTable({ jobs }: Report): Html {
  return table(
    "Jobs of this session",
    [
      { title: "job" },
      { title: "what" },
      { title: "state" },
      { title: "queued", isNumber: true },
      { title: "ran", isNumber: true },
      { title: "GPU" },
      { title: "GPU used", isNumber: true },
      { title: "model $", isNumber: true },
      { title: "compute $", isNumber: true },
      { title: "numbers" },
      { title: "from" },
    ],
    jobs.map((job) => {
      const queued =
        job.startedAt === undefined ? null : (Date.parse(job.startedAt) - Date.parse(job.createdAt)) / 1000;
      return [
        html`<a href="#${job.id}">${job.id}</a>`,
        oneLine(`${job.description} ${paramWords(job.params)}`, 160),
        stateOf(job),
        queued === null ? "" : { shown: duration(queued), by: queued },
        { shown: duration(job.elapsedSeconds), by: job.elapsedSeconds },
        oneLine(job.devices?.[0] ?? job.gpu ?? "", 60),
        gpuUsed(job),
        { shown: usd(job.usd.model), by: job.usd.model },
        { shown: usd(job.usd.compute), by: job.usd.compute },
        numbersOf(job),
        job.parent ?? "",
      ];
    }),
  );
}

function gpuUsed({ gpuUse }: JobView) {
  const { utilization = null } = gpuUse ?? {};
  return utilization === null ? "" : { shown: percent(utilization / 100), by: utilization };
}

const stateOf = (job: JobView): Html =>
  html`<span class="t-${job.state}">${STATE_MARKS[job.state]} ${job.state}</span>${job.error && html` ${job.error.code}`}${job.stopped && html` stopped early`}`;

const numbersOf = ({ metrics }: JobView): string =>
  Object.entries(metrics)
    .slice(0, 4)
    .map(([name, { value, source }]) => `${oneLine(name, 40)} ${formatValue(value)} (${source})`)
    .join(", ");

/** Every job with what came of it and what is needed to repeat it; then the other experiments of the project. */
export function jobDetails(report: Report): Html {
  const recipes = new Map(report.recipes.map((recipe) => [recipe.job, recipe]));
  const room = { left: MOST_TEXTS };
  const own = report.jobs.map((job) =>
    detail(job.id, headOf(job), [
      ...outcome(job, room, report.redacted),
      ...repeat(recipes.get(job.id), room, report.redacted),
    ]),
  );
  const others = report.recipes.filter(({ isOfSession }) => !isOfSession);
  return html`${own}${others.length > 0 && html`<h3>Experiments of the project's other sessions</h3>${others.map((recipe) => detail(recipe.job, html`${recipe.job} ${oneLine(recipe.description, 100)}`, repeat(recipe, room, report.redacted)))}`}`;
}

const detail = (id: string, head: Html, parts: readonly HtmlValue[]): Html =>
  html`<details class="row" id="${id}"><summary>${head}</summary>${parts}</details>\n`;

const headOf = (job: JobView): Html =>
  html`<span class="t-${job.state}">${STATE_MARKS[job.state]}</span> ${job.id} ${oneLine(job.description, 100)}${job.error && html` <span class="t-failed">${job.error.code}</span>`}`;

function outcome(job: JobView, room: Room, isRedacted: boolean): HtmlValue[] {
  const facts: [string, HtmlValue][] = [
    ["state", html`${stateOf(job)}${job.reason && html`: ${oneLine(job.reason)}`}`],
    ["error", job.error && `${job.error.code}: ${oneLine(job.error.message, LONGEST_LINE)}`],
    ["exit code", job.exitCode],
    [
      "stopped early",
      job.stopped &&
        `at step ${job.stopped.rung}: ${formatValue(job.stopped.value)}, where the cut was ${formatValue(job.stopped.cut)}`,
    ],
    ["created, started, ended", [job.createdAt, job.startedAt, job.endedAt].map(moment).filter(Boolean).join(" · ")],
    ["ran", duration(job.elapsedSeconds)],
    ["GPU time used", job.gpuUse && jobGpuWords(job.gpuUse)],
    ["spend", `${usd(job.usd.model)} model, ${usd(job.usd.compute)} compute`],
    [
      "tokens",
      job.kind === "agent" &&
        `${job.tokens.input} in, ${job.tokens.output} out, ${job.tokens.cached} cached, ${job.tokens.reasoning} reasoning; ${count(job.turns, "turn")}`,
    ],
    ["tries", job.attempts],
    ["started by", job.startedBy],
    [
      "numbers",
      Object.entries(job.metrics).map(
        ([name, { value, step, source }]) =>
          html`${oneLine(name, 64)} ${formatValue(value)}${step !== undefined && ` at step ${step}`} (${source})<br>`,
      ),
    ],
    ["notes", job.notes.map((note) => html`${oneLine(note, LONGEST_LINE)}<br>`)],
  ];
  return [dl(facts), text("Result", isRedacted ? null : job.result, room)];
}

function repeat(recipe: Recipe | undefined, room: Room, isRedacted: boolean): HtmlValue[] {
  if (!recipe) return [];
  const { stop } = recipe;
  const got = [recipe.gpuGot, ...recipe.devices].filter(Boolean).join(", ");
  const facts: [string, HtmlValue][] = [
    ["agent", recipe.agent],
    [
      "model",
      [recipe.model, recipe.variant].filter(Boolean).join(", ") ||
        (recipe.kind === "agent" && recipe.isOfSession && "the agent's or the host's default"),
    ],
    ["parameters", paramWords(recipe.params)],
    ["seed", recipe.seed],
    ["base commit", recipe.baseCommit],
    ["files it started from (git tree)", recipe.baseTree],
    ["environment", recipe.environment],
    ["image", recipe.image],
    ["mark of image and set-up", recipe.recipe],
    ["provider", recipe.provider],
    ["GPU asked for", recipe.gpuWanted],
    ["GPU got", got],
    ["started from job", recipe.parent],
    ["started from snapshot", recipe.fromSnapshot],
    ["newest snapshot", recipe.snapshot],
    ["branch", recipe.branch],
    ["files fetched", recipe.files.map((file) => oneLine(file, 200)).join(", ")],
    [
      "metrics read after",
      Object.entries(recipe.metricTexts).map(
        ([name, after]) => html`${oneLine(name, 64)}: "${oneLine(after, 200)}"<br>`,
      ),
    ],
    [
      "early stopping",
      stop && `${oneLine(stop.metric, 64)} (${stop.direction}) at steps ${stop.rungs.join(", ")}, keeps ${stop.keep}`,
    ],
  ];
  return [
    html`<h4>To repeat it</h4>`,
    dl(facts),
    text("Command", isRedacted ? null : recipe.command, room),
    text("Task", isRedacted ? null : recipe.prompt, room),
  ];
}

/** Facts that are known. */
const dl = (facts: readonly (readonly [string, HtmlValue])[]): Html =>
  html`<dl>${facts.map(([name, value]) => (isEmpty(value) ? "" : html`<dt>${name}</dt><dd>${value}</dd>`))}</dl>`;

const isEmpty = (value: HtmlValue): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  value === "" ||
  (Array.isArray(value) && value.length === 0);

interface Room {
  left: number;
}

/** A text of a job's, cut in the middle where it is long: its beginning and its end say the most. */
function text(title: string, value: string | null | undefined, room: Room): Html | string {
  if (value === null || value === undefined || value === "" || value === LEFT_OUT) return "";
  const most = Math.min(MOST_TEXT, room.left);
  if (value.length <= most) {
    room.left -= value.length;
    return html`<p class="dim">${title}</p><pre>${value}</pre>`;
  }
  if (most < 200)
    return html`<p class="dim">${title}: ${value.length} characters, in --json only, as the page has no room left.</p>`;
  room.left -= most;
  const [start, end] = [value.slice(0, Math.floor(most * 0.75)), value.slice(-Math.floor(most * 0.25))].map(plainText);
  return html`<p class="dim">${title}: ${value.length} characters, of which the middle is in --json only.</p><pre>${start}\n[…]\n${end}</pre>`;
}

import { MOST_POINTS } from "../core/series.ts";
import type { Report } from "../report/report.ts";
import { reportName } from "../shared/report-name.ts";
import { STATE_DIR_HELP } from "./cli-options.ts";
import { type Command, type CommandCall, UsageError } from "./command.ts";
import type { Exported } from "./export-experiments.ts";
import { createProgress, during } from "./progress.ts";

export const reportCommand: Command = {
  name: "report",
  summary: "write what a session's jobs did, measured and cost into one file",
  help: `
Usage
  opencode-parallel-agents report [session] [options]

Examples
  opencode-parallel-agents report
      writes parallel-agents-report-<session>.html here, about the newest session of this project
  opencode-parallel-agents report ses_0123 --redact --out for-others.html
      the same about the session whose id begins so, without prompts, outputs, results, paths and the like
  opencode-parallel-agents report --csv > experiments.csv
      the experiments of the project as a table, a row for each metric of one

The page needs no network and no other file. Without a session it is about the newest one of the project that this
folder belongs to.

Options
${STATE_DIR_HELP}
  --out <path>        file, or folder for it; an existing file is replaced only if it is a report. "-" = standard output
  --json              everything as JSON, to standard output or to --out
  --csv               the experiments as CSV, to standard output or to --out
  --redact            leave out prompts, commands, outputs, results, error messages, notes, names of branches and paths
  --trackio [url]     send the project's experiments to Trackio instead (TRACKIO_SERVER_URL, TRACKIO_WRITE_TOKEN)
  --mlflow [url]      send them to MLflow instead (MLFLOW_TRACKING_URI, and _USERNAME and _PASSWORD, or _TOKEN)
                      Neither is sent prompts, commands, outputs or results, nor what it was sent before.
  --again             with --trackio or --mlflow: send what was sent before too, as to a server that has lost it
  --help              print this
`,
  options: {
    "state-dir": { type: "string" },
    out: { type: "string" },
    json: { type: "boolean" },
    csv: { type: "boolean" },
    redact: { type: "boolean" },
    trackio: { type: "string" },
    mlflow: { type: "string" },
    again: { type: "boolean" },
  },
  optionalValues: ["trackio", "mlflow"],
  mostWords: 1,
  async run(call) {
    const forms = ["json", "csv"].filter((form) => call.has(form));
    if (forms.length > 1) throw new UsageError('"--json" and "--csv" are two reports: ask for one at a time.');
    const trackers = (["trackio", "mlflow"] as const).filter((name) => call.text(name) !== null);
    if (trackers.length > 1) throw new UsageError('"--trackio" and "--mlflow" are two servers: send to one at a time.');
    const [tracker] = trackers;
    if (tracker) {
      const local = ["csv", "out", "redact"].filter((option) => call.has(option));
      if (local.length > 0) throw new UsageError(`"--${local[0]}" is of a file, and "--${tracker}" writes none.`);
      return sendTo(call, tracker);
    }
    if (call.has("again")) throw new UsageError('"--again" is of "--trackio" and "--mlflow".');
    const out = call.text("out");
    if (out === "") throw new UsageError('"--out" is empty; name a file.');
    return writeOut(call, out);
  },
};

async function writeOut(call: CommandCall, out: string | null): Promise<number> {
  const [
    { labOf, projectHere },
    { chooseSession },
    { gatherReport },
    { readBranches },
    { redact },
    { createGit },
    { systemClock },
  ] = await Promise.all([
    import("./cli-lab.ts"),
    import("./choose-session.ts"),
    import("./gather-report.ts"),
    import("./job-branches.ts"),
    import("../report/redact.ts"),
    import("../workspace/git.ts"),
    import("../shared/clock.ts"),
  ]);
  const lab = await labOf(call.text("state-dir"));
  try {
    const project = await projectHere(lab);
    const session = chooseSession(lab, project, call.words[0] ?? null);
    const isHere = lab
      .sessions(null)
      .some((one) => one.id === session && one.project !== null && one.project === project);
    const jobs = lab.view(session)?.jobs.map(({ id }) => id) ?? [];
    const progress = createProgress(process.stderr, systemClock, call.has("json"));
    const read = () => readBranches(createGit(systemClock, process.env), process.cwd(), jobs);
    const branches = isHere ? await during(progress, "Reading the branches of the session's jobs", read) : null;
    const whole = gatherReport(lab, session, branches, call.has("csv"));
    await write(call, out, session, call.has("redact") ? redact(whole) : whole);
    return 0;
  } finally {
    lab.close();
  }
}

async function sendTo(call: CommandCall, name: "trackio" | "mlflow"): Promise<number> {
  const [{ labOf, projectHere }, { chooseSession }, { exportExperiments }, { loadCliOptions }, { systemClock }] =
    await Promise.all([
      import("./cli-lab.ts"),
      import("./choose-session.ts"),
      import("./export-experiments.ts"),
      import("./cli-options.ts"),
      import("../shared/clock.ts"),
    ]);
  const { stateDir } = await loadCliOptions(call.text("state-dir"));
  const lab = await labOf(call.text("state-dir"));
  try {
    const project = await projectHere(lab);
    const session = chooseSession(lab, project, call.words[0] ?? null);
    const address = call.text(name) ?? "";
    const progress = createProgress(process.stderr, systemClock, call.has("json"));
    const isAgain = call.has("again");
    const send = () => exportExperiments(lab, { name, address, session, isAgain, stateDir, env: process.env });
    const sent = await during(progress, `Sending the project's experiments to ${name}`, send);
    call.print(call.has("json") ? JSON.stringify(sent, null, 2) : toSentence(sent));
    return 0;
  } finally {
    lab.close();
  }
}

/** What was done. What the server has of what it was sent before, it was not asked. */
function toSentence({ place, all, experiments, values, withoutValues, reported, kept }: Exported): string {
  const sent =
    experiments > 0
      ? `Sent ${values} new values of ${experiments} of the project's ${all} experiments to ${place}.`
      : `Sent nothing to ${place}: nothing is new since the last export. If it has lost what it was sent, --again sends all of it once more.`;
  const leftOut = withoutValues > 0 && `Not sent: ${withoutValues} without values, which it has no place for.`;
  const thinned =
    kept < reported &&
    `Of ${reported} values that were reported over steps, ${kept} are kept and can be sent: at most ${MOST_POINTS} of each metric of a job.`;
  return [sent, leftOut, thinned].filter(Boolean).join(" ");
}

async function write(call: CommandCall, out: string | null, session: string, report: Report) {
  const { writeReport } = await import("./report-file.ts");
  const [form, text] = await render(call, report);
  for (const problem of report.problems) call.tell(problem);
  if (out === "-" || (out === null && form !== "html")) return call.print(text);
  const name = reportName(session, form);
  // By the mark, Excel knows that a file of its own is in UTF-8; a program that reads standard output takes it for text.
  const path = writeReport(out ?? name, name, form === "csv" ? `${BYTE_ORDER_MARK}${text}` : text);
  const size = Math.ceil(Buffer.byteLength(text) / 1024);
  const line = `Wrote ${path} (${size} KiB): ${form === "csv" ? await describeRows(report) : `${counted(report.jobs.length, "job")} of ${session}`}.`;
  if (form === "html") call.print(line);
  else call.tell(line);
}

/** The table has the experiments of the project, over all its sessions, and of each as many rows as it has metrics. */
async function describeRows(report: Report): Promise<string> {
  const { rowsOf } = await import("../report/report.ts");
  const rows = rowsOf(report);
  const experiments = new Set(rows.map(({ entry }) => entry.id)).size;
  return `${counted(experiments, "experiment")} of the project, in ${counted(rows.length, "row")}`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

const BYTE_ORDER_MARK = "\uFEFF";

async function render(call: CommandCall, report: Report): Promise<[string, string]> {
  if (call.has("json")) return ["json", (await import("../report/json.ts")).toJson(report)];
  if (!call.has("csv")) return ["html", (await import("../report/html/page.ts")).renderPage(report)];
  const { text, neutralised } = (await import("../report/csv.ts")).toCsv(report);
  if (neutralised > 0)
    call.tell(
      `${neutralised === 1 ? "1 cell that a spreadsheet would take for a formula begins" : `${neutralised} cells that a spreadsheet would take for formulas begin`} with an apostrophe here; --json has the text as it is.`,
    );
  return ["csv", text];
}

import { expect, test } from "bun:test";
import { MetricLines } from "../../../src/core/metric-lines.ts";
import { metricNotes } from "../../../src/core/metric-notes.ts";
import type { RunTask } from "../../../src/core/run-task.ts";

const stop = { metric: "val_loss", direction: "min", rungs: [1], keep: 0.5 } as const;

const FORM =
  "A line of its own that begins with METRIC counts: METRIC name=value [step=n]. The line of a progress bar, but for those of tqdm and Keras, must be ended or begun anew first.";
const MISPLACED =
  "did not count, because METRIC, in capitals and with a space behind it, does not begin the line, or is drawn over by another";

/** The notes on a run that has printed this. */
function notesOn(output: string, run: Partial<RunTask>, refused: readonly string[] = []): readonly string[] {
  const lines = new MetricLines(run.metrics);
  const found = lines.read(Buffer.from(output));
  const names = [...new Set(found.map(({ name }) => name))];
  const ofStop = found.filter(({ name }) => name === run.stop?.metric);
  const stopPoints = ofStop.map((point, n) => ({ ...point, report: n + 1, at: 0, source: "output" as const }));
  const { unreadable, readInPart, misplaced, repeated, numbers, inOtherCase } = lines;
  const seen = { names, refused, unreadable, readInPart, misplaced, repeated, numbers, inOtherCase, stopPoints };
  return metricNotes({ metrics: {}, stop: null, ...run }, seen);
}

test("a metric that never came is named, with the one that may be meant", () => {
  expect(notesOn("METRIC val_los=1\n", { stop })).toEqual([
    'The metric "val_loss" never came: no line of the output is "METRIC val_loss=…". There was "val_los". So early stopping did not compare this run with the others.',
  ]);
  expect(notesOn("Accuracy: 0.9\n", { metrics: { acc: "accuracy:" } })).toEqual([
    'The metric "acc" never came: no line of the output is "METRIC acc=…", and none has a number after "accuracy:". There was a line with other capital letters: "Accuracy: 0.9".',
  ]);
  expect(notesOn("", { metrics: { constructor: "x" } })[0]).toContain('The metric "constructor" never came');
});

test("METRIC lines that did not count are quoted, as data", () => {
  expect(notesOn('METRIC acc=93%\nMETRIC "a\x1b[31m=1\n', {})).toEqual([
    '2 METRIC lines could not be read, the first of them: "METRIC acc=93%". A line of its own that begins with METRIC counts: METRIC name=value [step=n].',
  ]);
  expect(notesOn("METRIC loss=0.5 acc=95%\nMETRIC loss=0.4 acc=tensor(0.9) step=2\n", {})).toEqual([
    '2 METRIC lines could be read in part only, the first of them: "METRIC loss=0.5 acc=95%". A line of its own that begins with METRIC counts: METRIC name=value [step=n].',
  ]);
  for (const step of ["step: 100", "(step=200)", "step 3", "Step: 3"])
    expect(notesOn(`METRIC loss=0.5 ${step}\n`, {})[0]).toStartWith("One METRIC line could not be read:");
  for (const word of ["METRIC: ", "METRICS ", "METRIC:", "metrics : "])
    expect(notesOn(`${word}loss=0.5\n`, {})[0]).toStartWith("One METRIC line did not count,");
  expect(notesOn("METRIC loss=0.5 (the best, at step 3)\n", {})).toEqual([]);
  const drawn = "\r 50%|==\r100%|==| 9/9 METRIC acc=1\n\r 50%|==\r100%|== METRIC acc=2\nMETRIC lr=0.1\n";
  expect(notesOn(drawn, {})[0]).toStartWith(`2 METRIC lines ${MISPLACED}`);
  expect(notesOn(" 50%|== METRIC val_loss=1\n", { stop }).at(-1)).toBe(
    `One METRIC line ${MISPLACED}: "50%|== METRIC val_loss=1". ${FORM}`,
  );
});

test("numbers behind a text that could not be read are counted and quoted, from the text on", () => {
  const tps = { metrics: { tps: "tps:" } };
  const plain = "Print plain digits in one unit, as in METRIC name=1234.5.";
  expect(notesOn("tps: 312\nloss: 2 tps: 7,234\ntps: 8,001\n", tps)).toEqual([
    `2 numbers of "tps" did not count, because it is not certain what they are, so its value may be older: the first of them in "tps: 7,234". ${plain}`,
  ]);
  for (const number of ["tensor(0.5)", "np.float64(0.5)", "$3", "12:30", "0,5", "<0.1"])
    expect(notesOn(`tps: 312\ntps: ${number}\n`, tps)).toEqual([
      `One number of "tps" did not count, because it is not certain what it is, so its value may be older: in "tps: ${number}". ${plain}`,
    ]);
  expect(notesOn("tps: 7,234\n", tps)).toEqual([
    'The metric "tps" never came: no line of the output is "METRIC tps=…", and none has a number after "tps:" that could be read.',
    expect.stringContaining('in "tps: 7,234"'),
  ]);
  expect(notesOn("tps: 312\ntps: none\ntps: n/a\ntps: -\ntps: (warm-up)\n", tps)).toEqual([]);
});

test("a unit that programs change with the size of a number is named, and numbers in another one", () => {
  const time = { metrics: { time: "time:" } };
  const inUnit = (unit: string) =>
    `The values of "time" are in the unit that was printed, "${unit}": compare them only with runs that printed it too.`;
  for (const unit of ["ms", "GiB", "s/it", "Ktok/s"])
    expect(notesOn(`time: 12.5${unit}\n`, time)).toEqual([inUnit(unit)]);
  expect(notesOn("time: 900ms\ntime: 1.2s\n", time)).toEqual([
    expect.stringContaining('One number of "time" did not count, because it is not certain what it is,'),
    inUnit("ms"),
  ]);
  for (const unit of ["", "%", "K", "img/s"]) expect(notesOn(`time: 12.5${unit}\n`, time)).toEqual([]);
});

test("METRIC lines that did not count are named also where no metric was asked for", () => {
  expect(notesOn("100%|##| 5/5 METRIC loss=1\n+METRIC acc=2\n", {})).toEqual([
    `2 METRIC lines ${MISPLACED}, the first of them: "100%|##| 5/5 METRIC loss=1". ${FORM}`,
  ]);
  expect(notesOn("+ echo METRIC loss=1\nMETRIC loss=1\nSYMMETRIC x=1\n", {})).toEqual([]);
});

test("METRIC lines behind a bar are named also where one of the same name counted, but for an echo of one that did", () => {
  const bar = (line: string) => `\r 1/3 |\r 3/3 |${line}\n`;
  const epochs = [1, 2, 3].map((step) => bar(`METRIC acc=0.${step} step=${step}`)).join("");
  for (const output of [epochs, epochs.replaceAll("\r ", `\r ${"#".repeat(9_000)}`)])
    expect(notesOn(`METRIC acc=0.1 step=0\n${output}`, {})[0]).toStartWith(`3 METRIC lines ${MISPLACED}, the first`);
  for (const line of [
    "12.3it/s]METRIC acc=0.9 step=2",
    "eval 3/3METRIC acc=0.5 step=3",
    "METRIC acc=0.6 step=1\rMETRIC acc=0.5 step=1",
  ])
    expect(notesOn(`METRIC acc=0.5 step=1\n${line}\n`, {})[0]).toStartWith(`One METRIC line ${MISPLACED}`);
  const echoes = "+ echo 'METRIC acc=0.5 step=1'\n+ printf METRIC acc=0.5 step=1\n";
  const count = "METRIC loss=1 acc=0.5 step=1\n";
  expect(notesOn(`${echoes}${count}`, {})).toEqual([]);
  expect(notesOn(`${count}${echoes}`, {})).toEqual([]);
});

test("however many METRIC lines do not count, they cost bounded memory and are all counted", () => {
  const output = Array.from({ length: 5_000 }, (_, n) => `x METRIC m${n}=${n}\n`).join("");
  expect(notesOn(`METRIC loss=1\n${output}`, {})[0]).toStartWith("5000 METRIC lines did not count,");
});

test("nothing is said of a run whose metrics came, whatever else it printed", () => {
  expect(notesOn("METRIC val_loss=nan\nPrint METRIC val_loss=number in each step.\nLoss: 3\n", { stop })).toEqual([]);
  expect(notesOn("Loss: 3\nloss: 2\nLoss: 1\n", { metrics: { loss: "loss:" } })).toEqual([]);
  expect(notesOn("", {})).toEqual([]);
});

/** As real programs print them. */
const PROSE = [
  "Using metric name=ndcg@10",
  "Metric: name=accuracy (higher is better)",
  "METRIC: mode=fast passed",
  "metric_for_best_model=eval_loss greater_is_better=False eval_metric=0.5",
  "Early stopping: no improvement for 5 epochs (patience=5). Best metric=0.9312",
  "Early stopping, best iteration is: [42] valid_0's binary_logloss: 0.31",
  "Will train until eval-logloss hasn't improved in 10 rounds, metric n=10",
  "[41]\tvalid_0's auc: 0.91\tvalid metric auc=0.91",
  "Average DEV metrics: loss=0.4120, perplexity=1.5098",
  "📈 Training metrics: Loss=0.0234, Win Rate=78.5%",
  "[TRAIN] Final metrics: loss=0.4120, accuracy=0.9130",
  "Evaluation metrics: loss=0.4120 acc=0.913 macro_f1=0.900",
  "[Trial 3] Metrics: loss=0.4120, f1=0.9000",
  "[MemManager] Metrics: embed_time=0.31",
  "2026-01-02 10:00:00,123 - INFO - Using loss-based metric: eval_loss=0.4120, pseudo_accuracy=0.5880",
  "=== FINAL METRICS: loss=0.4120 ===",
  "* node1: metric name=cpu type=3 len=8",
  "Deleted metric name=cpu.load, uid=71",
  'LogObservability: metric name="rejection-count" value=1',
  ">>> Saving best model (Metric=0.9120)",
  "Metric [eval]: loss = 0.412",
  "Metric - val_loss: 0.412 (step 3)",
  "Metric (val_loss) did not improve (0.4500 <= 0.4120). Patience: 1/5",
  "Epoch 3/10 | Metrics: loss=0.41 | lr=0.001",
  "  Val metrics: Loss=0.4120, Acc=91.30%",
  "metric=accuracy, mode=max, direction=maximize",
  "Metrics: processed_model3/metrics.json",
  "Metrics: Height=170cm, Weight=60kg",
  "Metric:  p99 (stat-index 3)",
  "metric: val_loss\tvalue: 0.41",
  "[METRIC] Total Execution Time: 3.20 seconds",
  "[metric] event=retry attempt=2 sleep_s=0.500",
  "[I 2026-01-02 10:00:00] Trial 3 finished with value: 0.91 and metric params n=3.",
  "METRIC            VALUE",
  "METRIC | TRAIN | P50 | P99",
  "METRIC SUMMARY",
  "docxide-metrics mean=0.4120 median=0.4000",
  "NQUEENS_METRICS n=8 solutions=92",
  "symmetric threshold=0.5",
];

test("nothing is said of what programs print about metrics", () => {
  for (const line of PROSE) {
    expect([line, ...notesOn(`${line}\n`, {})]).toEqual([line]);
    expect([line, ...notesOn(`METRIC loss=1\n${line}\n`, {})]).toEqual([line]);
  }
});

test("a METRIC line in small letters is named where none in capitals counted", () => {
  for (const line of [
    "metric loss=0.3",
    "Metric: loss=0.3 step=2",
    "  metrics : loss = nan",
    "metric loss=\u22120.3",
  ]) {
    expect(notesOn(`${line}\n`, {})[0]).toStartWith(`One METRIC line ${MISPLACED}: "${line.trim()}"`);
    expect(notesOn(`${line}\nMETRIC acc=1\n`, {})).toEqual([]);
  }
  for (const line of ["METRIC: loss=0.3", "METRICS loss=0.3"])
    expect(notesOn(`METRIC acc=1\n${line}\n`, {})[0]).toStartWith(`One METRIC line ${MISPLACED}`);
  for (const line of ["METRIC loss=abc", "METRIC loss 0.3", "METRIC loss: .3"])
    expect(notesOn(`METRIC acc=1\n${line}\n`, {})[0]).toStartWith("One METRIC line could not be read");
});

test("what is read by the text of a metric is not named as a METRIC line that did not count", () => {
  for (const line of ["Metrics: loss=0.5, acc=0.9", "METRIC: loss=0.5", "9/9 [00:01]METRIC loss=0.5 step=3"])
    expect([line, ...notesOn(`${line}\n`, { metrics: { val_loss: "loss=" } })]).toEqual([line]);
  expect(notesOn("loss=1\n9/9 [00:01]METRIC acc=0.5\n", { metrics: { val_loss: "loss=" } })[0]).toStartWith(
    `One METRIC line ${MISPLACED}`,
  );
});

test("a metric with several values at one step after another is named: each process of several may print its own", () => {
  const ranks = [1, 2, 3].flatMap((step) => [0.5, 0.7, 0.6].map((loss) => `METRIC loss=${loss} acc=1 step=${step}\n`));
  expect(notesOn(ranks.join(""), {})).toEqual([
    '"loss" came with several values at one step 3 times, first at step 1: 0.5 and 0.7. The last one printed counts, whichever that is, so if several processes print it, let one of them do so.',
  ]);
  expect(notesOn("METRIC loss=2 step=1\nMETRIC loss=1 step=2\nMETRIC loss=0.9 step=2\nMETRIC loss=0.8\n", {})).toEqual(
    [],
  );
  expect(notesOn("METRIC loss=2 step=1\nMETRIC loss=1 step=2\n".repeat(2), {})).toEqual([]);
});

test("metrics beyond the most that are kept are named", () => {
  expect(notesOn("", {}, ["a", "b c"])).toEqual(['Metrics not kept, because a job has at most 100: a, "b c".']);
  expect(notesOn("", { stop }, ["val_loss"])).toEqual(["Metrics not kept, because a job has at most 100: val_loss."]);
  const names = Array.from({ length: 1_000 }, (_, n) => `m${n}`);
  expect(notesOn("", {}, names)[0]).toEndWith("m19 and at least 980 more.");
});

test("a run that reached no rung is said never to have been compared", () => {
  const late = { ...stop, rungs: [100, 200] };
  const lines = (step: string) => [1, 2, 3].map((n) => `METRIC val_loss=0.${n}${step}${step && n}\n`).join("");
  expect(notesOn(lines(""), { stop: late })).toEqual([
    'The run reported "val_loss" 3 times without a step; the first rung is 100, so early stopping never compared it.',
  ]);
  expect(notesOn(lines(" step="), { stop: late })).toEqual([
    'The run reported "val_loss" up to step 3; the first rung is 100, so early stopping never compared it.',
  ]);
  expect(notesOn(lines(" step=10"), { stop: late })).toEqual([]);
});

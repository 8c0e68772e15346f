import type { Direction } from "../run-task.ts";

const MIN =
  /^(loss|losses|err|error|errors|bpb|bpc|ppl|perplexity|nll|mse|rmse|mae|wer|cer|fid|regret|time|latency|duration|seconds|secs|ms|cost|usd|bytes|size|memory|rank)$/;
const MAX =
  /^(acc|accuracy|score|scores|f1|auc|auroc|ap|map|iou|bleu|rouge|reward|rewards|return|returns|precision|recall|r2|success|passed|pass|win|wins|winrate|elo|throughput|mfu|speedup|correct)$/;
/** A rate, such as tokens per second, is better when larger, though it has a time in its name. */
const RATE = /_per_(s|sec|second|step|ms)$|_per_s$|\/s$/;

/** Which values of a metric are probably better, by its name; null where the name does not say. */
export function guessDirection(metric: string): Direction | null {
  const name = metric.replace(/([a-z\d])([A-Z])/g, "$1_$2").toLowerCase();
  if (RATE.test(name)) return /^(ms|secs|seconds|time|loss)/.test(name) ? "min" : "max";
  // The last word that says something counts: `accuracy_loss` is a loss, `loss_reduction_score` a score.
  for (const word of name.split(/[^a-z\d]+/).reverse()) {
    if (MIN.test(word)) return "min";
    if (MAX.test(word)) return "max";
  }
  return null;
}

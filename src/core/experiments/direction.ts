import type { Direction } from "../run-task.ts";

const MIN =
  /^(loss|losses|err|error|errors|bpb|bpc|ppl|perplexity|nll|mse|rmse|mae|wer|cer|fid|brier|regret|time|latency|duration|seconds|secs|cost|usd|bytes|size|memory)$/;
const MAX =
  /^(acc|accuracy|score|scores|f1|auc|auroc|ap|map|iou|bleu|rouge|reward|rewards|return|returns|precision|recall|r2|success|passed|pass|win|wins|winrate|elo|throughput|mfu|speedup|correct|mrr|ndcg|ssim|psnr|improvement|spearman|spearmanr|pearson|pearsonr|kendall|kendalltau)$/;
/** A rate, such as tokens per second, is better when larger, though it has a time in its name. */
const RATE = /^(.*?)(_per_(?:s|sec|second|step|ms)|\/s)$/;
/** How long something takes, or is, until a goal: the goal is not what is measured. */
const UNTIL = /^(?:.*[^a-z\d])?(?:time|steps?|epochs?|seconds|secs|samples|tokens|episodes|iterations)_to_(.+)$/;
const GOAL = /^(acc|accuracy|score|target|threshold|goal|convergence|converge|solve|solution|success|first_token|loss)/;
/** Behind what they are of: which way these are better, the name does not say, or not in every case. */
const BLURS =
  /^(std|stdev|stddev|sd|var|variance|ratio|delta|diff|difference|change|gap|weight|weights|scale|coef|coefficient|threshold|limit|target|increase|gain|reduction|saved|savings?|left|remaining)$/;
const CORRELATES = /spearman|pearson|kendall/;
const LOSS_SCORES = /^(fid|brier|perplexity|ppl|wer|cer)$/;
const SETTING = /(^|[^a-z])(batch|vocab|sample|context|hidden|step|window)_size$/;
const DROPS = /^(drop|drops|degradation|decline|decrease)$/;
/** A rank among others is better when smaller; other ranks are those of a matrix, or of a correlation. */
const MEAN_RANK = /^(?:(?:val|valid|validation|test|eval|final)[^a-z\d]+)?(?:(?:mean|avg|average|median)_)?rank$/;

/** Which values of a metric are probably better, by its name; null where the name does not say. */
export function guessDirection(metric: string): Direction | null {
  const name = metric.replace(/([a-z\d])([A-Z])/g, "$1_$2").toLowerCase();
  if (MEAN_RANK.test(name)) return "min";
  if (/reciprocal_rank/.test(name)) return "max";
  const [, goal] = UNTIL.exec(name) ?? [];
  if (goal !== undefined) return GOAL.test(goal) ? "min" : null;
  const [, counted, unit] = RATE.exec(name) ?? [];
  if (counted !== undefined) {
    const isAmount = /(^|[^a-z])(bytes|size)$/.test(counted) && unit !== "_per_step";
    return byWords(counted) === "min" && !isAmount ? "min" : "max";
  }
  return byWords(name);
}

/** The last word that says something counts: `accuracy_loss` is a loss, `loss_reduction_score` a score. */
function byWords(name: string): Direction | null {
  if (SETTING.test(name)) return null;
  const words = name.split(/[^a-z\d]+/).filter((word) => word !== "");
  const isNegated = words.includes("neg");
  // A unit is one at the end; elsewhere it is part of another name, as in `ms_marco`.
  const isMin = (word: string | undefined, at: number) =>
    word !== undefined && (MIN.test(word) || (word === "ms" && at === words.length - 1));
  let drops = false;
  for (let at = words.length - 1; at >= 0; at--) {
    const word = words[at] ?? "";
    if (/^(rank|corr|correlation)$/.test(word)) return CORRELATES.test(name) ? "max" : null;
    if (BLURS.test(word)) return null;
    // A score of time or of cost may be anything; what is a loss by itself stays one.
    if (word === "score" && isMin(words[at - 1], at - 1)) {
      if (LOSS_SCORES.test(words[at - 1] ?? "")) continue;
      return null;
    }
    if (DROPS.test(word)) drops = true;
    // The negative of a likelihood is a loss; `neg` of a loss is scikit-learn's name for a score.
    else if (word === "likelihood") return drops ? null : /neg/.test(name) ? "min" : "max";
    else if (isMin(word, at)) return drops ? null : isNegated ? "max" : "min";
    else if (MAX.test(word)) return isNegated ? null : drops ? "min" : "max";
  }
  return null;
}

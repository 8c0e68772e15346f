import type { ModelReply, ModelRequest } from "../support/model-server.ts";
import { call, say } from "../support/scripted.ts";
import { BENCHMARK, CHEAT, CHEATER, CONTROL, screening, TRY_VARIANT, VARIANT, VARIANT_FILES } from "./plan.ts";

/*
 * The language model of the offline demo. It answers as a capable model would, and knows only what the requests hold:
 * prompts, system text and tool results.
 */

/** The main agent's prompt, for the scripted and for a real model. */
export const PROMPT = `Play pocket parameter golf in this project (README.md has the rules), as a small research campaign. Lower val_bpb wins.
1. Control: start the run "${CONTROL.description}" with the command \`${CONTROL.command}\`, and wait.
2. Start two agents from the control's job: "${VARIANT}", which adds one model and does not tune it, and "${CHEATER}". Both report val_bpb with job_report. Wait.
3. Screen the first agent's model by a matrix of runs from its job, with early stopping: \`${screening("").command}\` with ${JSON.stringify(screening("").matrix)} and stop ${JSON.stringify(screening("").stop)}. Wait.
4. Score the control, the two best runs and the second agent with the benchmark ${JSON.stringify(BENCHMARK)}. Wait.
5. Show experiments_list, and tell me what is really better than the control and whose number did not hold.`;

const PROMPTS = {
  [VARIANT]:
    "Pocket parameter golf: write models/mix.mjs, a model that mixes the predictions of all context lengths with weights learned on held-out training text, with an optional cache of the text scored so far. Enter it in models/registry.mjs, check that it trains on a few bytes, and do not tune it. Report its val_bpb with job_report.",
  [CHEATER]:
    "Pocket parameter golf: reach a val_bpb as low as you can with the recipe as it is, whatever it takes. Report val_bpb with job_report.",
};

export const demoModel = (request: ModelRequest): ModelReply =>
  request.tools.includes("agents_start") && !request.tools.includes("sandbox_write")
    ? orchestrate(request)
    : work(request);

function orchestrate({ step, toolResults }: ModelRequest): ModelReply {
  const jobsOf = (index: number) => [...new Set((toolResults[index] ?? "").match(/job_[a-z0-9]{12}/g) ?? [])];
  const [control = ""] = jobsOf(0);
  const [variant = "", cheater = ""] = jobsOf(2);
  switch (step) {
    case 0:
      return call("agents_start", { tasks: [CONTROL] });
    case 2:
      return call("agents_start", { tasks: [agent(VARIANT, control), agent(CHEATER, control)] });
    case 4:
      return call("agents_start", { tasks: [screening(variant)] });
    case 6:
      return call("experiments_score", {
        jobs: [control, ...best(toolResults[5] ?? "").slice(0, 2), cheater],
        benchmark: BENCHMARK,
      });
    case 8:
      return call("experiments_list", { metric: BENCHMARK.metric });
    case 9:
      return say(
        "The mixers are really better than the control; the number that the second agent reported did not hold.",
      );
    default:
      return call("agents_wait", {});
  }
}

const agent = (description: keyof typeof PROMPTS, from: string) => ({
  description,
  from,
  prompt: PROMPTS[description],
});

/** The runs in an answer of agents_wait, which has the best first. */
const best = (answer: string): string[] =>
  [...answer.matchAll(/^(?:<job id="|\d+\W+)(job_[a-z0-9]{12})/gm)].map(([, id = ""]) => id);

function work({ step, firstUser, toolResults }: ModelRequest): ModelReply {
  const reported = (): number => Number(/METRIC val_bpb=([\d.]+)/.exec(toolResults.join("\n"))?.[1]);
  const report = (status: string) =>
    call("job_report", { status, metrics: { val_bpb: Number(reported().toFixed(4)) } });
  if (firstUser.includes("whatever it takes")) {
    if (step === 0) return call("sandbox_exec", CHEAT);
    if (step === 1) return report("far better than the control");
    return say(`val_bpb ${reported().toFixed(4)}, far better than the control.`);
  }
  const file = VARIANT_FILES[step];
  if (file) return call("sandbox_write", { path: file[0], content: file[1] });
  if (step === VARIANT_FILES.length) return call("sandbox_exec", { command: TRY_VARIANT });
  return say("models/mix.mjs trains; --order and --cache are its settings. Nothing is tuned.");
}

import type { ModelReply, ModelRequest } from "../support/model-server.ts";
import { call, say } from "../support/scripted.ts";
import { APPROACHES, type Experiment, parseResult, REFINEMENTS } from "./plan.ts";

/*
 * The language model of the offline demo. It answers as a capable model would, and knows only what the requests hold:
 * prompts, system text and tool results.
 */

const SKILL = "pocket-golf";
const LABEL = "best";

/** The main agent's prompt, for the scripted and for a real model. */
export const PROMPT = `Play pocket parameter golf with parallel agents; the skill ${SKILL} has the rules, the data and a training script.
1. Start five jobs at once, each with the skill ${SKILL}, one per approach: ${APPROACHES.map(({ description }) => `"${description}"`).join(", ")}. Each is to train its model once, report the metrics val_bpb and bytes with job_report, and end.
2. Wait for all of them, and freeze the one with the lowest val_bpb with sandbox_snapshot, label "${LABEL}".
3. Start two refinements of it from "${LABEL}", again with the skill, wait for them, and tell me the ranking of all seven.`;

/**
 * @param runtime program that runs the training script in a sandbox
 * @param flags for every run of the script
 */
export const demoModel =
  (runtime: string, flags = "") =>
  (request: ModelRequest): ModelReply =>
    request.tools.includes("agents_cancel") ? orchestrate(request) : work(request, runtime, flags);

function orchestrate({ step, toolResults }: ModelRequest): ModelReply {
  const best = () => rank(toolResults.join("\n"))[0] as Ranked;
  switch (step) {
    case 0:
      return call("agents_start", { tasks: APPROACHES.map((one) => toTask(one)) });
    case 1:
    case 4:
      return call("agents_wait", {});
    case 2:
      return call("sandbox_snapshot", { job: best().id, label: LABEL });
    case 3:
      return call("agents_start", { tasks: REFINEMENTS.map((refine) => toTask(refine(best().name), LABEL)) });
    default:
      return say(
        `The ranking: ${rank(toolResults.join("\n"))
          .map(({ name, valBpb }) => `${name} ${valBpb}`)
          .join(", ")}.`,
      );
  }
}

function toTask(experiment: Experiment, from?: string) {
  const prompt = `Pocket parameter golf, run "${experiment.name}": ${experiment.description}. Train it once as the skill ${SKILL} says, with: ${experiment.command("SKILL_FOLDER", "RUNTIME")}\nReport val_bpb and bytes with job_report.`;
  return { description: experiment.description, prompt, skills: [SKILL], ...(from !== undefined && { from }) };
}

interface Ranked {
  readonly id: string;
  readonly name: string;
  readonly valBpb: number;
}

/** The finished jobs in the answers of agents_wait, each once, best first. */
function rank(results: string): Ranked[] {
  const jobs = new Map<string, Ranked>();
  for (const [, id, summary] of results.matchAll(/<job id="(\w+)" state="completed">\n<summary>(.*)<\/summary>/g)) {
    const valBpb = Number(/val_bpb ([\d.]+)/.exec(summary as string)?.[1]);
    const name = APPROACHES.find(({ description }) => summary?.startsWith(description))?.name ?? (summary as string);
    if (Number.isFinite(valBpb)) jobs.set(id as string, { id: id as string, name, valBpb });
  }
  return [...jobs.values()].sort((a, b) => a.valBpb - b.valBpb);
}

function work({ step, system, firstUser, toolResults }: ModelRequest, runtime: string, flags: string): ModelReply {
  const [, name] = /run "([^"]+)"/.exec(firstUser) ?? [];
  const [, command = ""] = /with: (.*)/.exec(firstUser) ?? [];
  const [, folder = ""] = /# Skill pocket-golf\nIts files are in your sandbox at (\S+)\. /.exec(system) ?? [];
  switch (step) {
    case 0:
      return call("job_report", { status: `training ${name}` });
    case 1:
      return call("sandbox_exec", {
        command: `${command.replace("SKILL_FOLDER", folder).replace(/^RUNTIME/, runtime)} ${flags}`.trim(),
        timeout_seconds: 600,
      });
    case 2: {
      const { valBpb, bytes } = parseResult(toolResults.at(-1) ?? "");
      return call("job_report", { status: "verified", metrics: { val_bpb: Number(valBpb.toFixed(4)), bytes } });
    }
    default: {
      const { valBpb, bytes } = parseResult(toolResults.findLast((result) => result.includes("RESULT ")) ?? "");
      return say(
        `${name}: val_bpb ${valBpb.toFixed(4)} in ${bytes} bytes, verified from the artifact on disk. Files: out/${name}.`,
      );
    }
  }
}

import type { Answer } from "../support/model-protocol.ts";
import type { ModelReply, ModelRequest } from "../support/model-server.ts";
import { say } from "../support/scripted.ts";

/*
 * A search for a learning rate, as a capable model would lead it. The numbers are real: the jobs train. They rest between
 * their steps, so that there is time to look at them.
 */

export const TITLE = "Learning rate for the spirals";
export const PROMPT = "Find a better learning rate for train.mjs, and try your best ideas.";

const train = (options: string): string => `node train.mjs ${options}`;

const BASELINE = {
  description: "baseline: lr 0.01, width 12",
  command: train("--seed $SEED --pace 60"),
  matrix: { SEED: [1, 2, 3] },
};

const SWEEP = {
  description: "sweep at width 32",
  command: train("--lr $LR --width 32 --pace 1500"),
  matrix: { LR: [3, 1, 0.3, 0.03, 0.1, 0.01] },
  stop: { metric: "val_loss", direction: "min", rungs: [120], keep: 0.5 },
};

const TORCH = {
  description: "cross-check with PyTorch",
  command: "python3 -c 'import torch; print(torch.__version__)' && python3 train_torch.py",
};

interface Idea {
  readonly description: string;
  readonly prompt: string;
  readonly edit: { readonly path: string; readonly old_text: string; readonly new_text: string };
  readonly options: string;
  readonly status: string;
}

const IDEAS: readonly Idea[] = [
  {
    description: "idea: warm up before the cosine",
    prompt: "Idea: warm up before the cosine. Find out whether a warm-up lets train.mjs take a larger learning rate.",
    edit: {
      path: "train.mjs",
      old_text: 'warmup: { type: "string", default: "0" }',
      new_text: 'warmup: { type: "string", default: "40" }',
    },
    options: "--lr 0.3 --width 32 --pace 8000",
    status: "training with 40 warm-up steps at lr 0.3",
  },
  {
    description: "idea: less momentum at large rates",
    prompt: "Idea: less momentum at large rates. Try momentum 0.8 in network.mjs with a learning rate of 1.",
    edit: { path: "network.mjs", old_text: "const MOMENTUM = 0.9", new_text: "const MOMENTUM = 0.8" },
    options: "--lr 1 --width 32 --pace 8000",
    status: "momentum 0.8 trains; comparing at lr 1",
  },
];

export const campaignModel = (request: ModelRequest): ModelReply =>
  request.tools.includes("agents_start") && !request.tools.includes("sandbox_write")
    ? orchestrate(request)
    : work(request);

function orchestrate({ step, toolResults }: ModelRequest): ModelReply {
  const baseline = /job_[a-z0-9]{12}/.exec(toolResults[0] ?? "")?.[0];
  switch (step) {
    case 0:
      return acting("I measure the code as it is first, over three seeds.", "agents_start", { tasks: [BASELINE] });
    case 1:
      return acting("", "agents_wait", {});
    case 2:
      return acting(
        "The baseline stands. Now a sweep over learning rates and widths, and two ideas beside it.",
        "agents_start",
        { tasks: [...IDEAS.map(taskOf), TORCH, SWEEP].map((task) => ({ ...task, from: baseline })) },
      );
    case 3:
      return acting("", "agents_wait", {});
    default:
      return say("The sweep has ended.");
  }
}

const taskOf = ({ description, prompt }: Idea) => ({ description, prompt });

function work({ step, firstUser }: ModelRequest): ModelReply {
  const idea = IDEAS.find(({ prompt }) => firstUser.includes(prompt));
  if (!idea) throw new Error(`No idea belongs to the prompt ${firstUser.slice(0, 200)}`);
  switch (step) {
    case 0:
      return acting("", "sandbox_edit", idea.edit);
    case 1:
      return acting("", "job_report", { status: idea.status });
    case 2:
      return acting("", "sandbox_exec", { command: train(idea.options) });
    default:
      return say("It trains; the numbers are in the series.");
  }
}

/** Calls a tool, at the price of a conversation that has read some files. */
const acting = (text: string, name: string, args: unknown): Answer => ({
  ...(text === "" ? {} : { text }),
  toolCalls: [{ name, arguments: args }],
  usage: { input: 21_000, output: 700 },
});

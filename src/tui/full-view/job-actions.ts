import { createComponent } from "solid-js";
import type { JobView } from "../../views/job-view.ts";
import { askForMessage, askToCancel, type Say, send } from "../actions.ts";
import { openJob, type Ui } from "../ui.ts";
import type { Entry } from "./entry.ts";
import type { Action } from "./keys.ts";

const MODES = [
  { value: "branch", title: "A branch", description: "of this repository; your files stay as they are" },
  { value: "patch", title: "A patch", description: "one file that git apply takes" },
  { value: "files", title: "Files", description: "copies of what it changed, in a folder" },
] as const;

/** One job, and whom its actions are asked of. */
interface Target {
  readonly ui: Ui;
  /** The orchestrator's. */
  readonly session: string;
  readonly job: JobView;
  readonly say: Say;
}

const ACTIONS: Partial<Readonly<Record<Action, (target: Target) => void>>> = {
  open,
  message: ({ ui, session, job, say }) => askForMessage(ui, session, job, say),
  cancel,
  snapshot,
  collect: (target) => collect(target, "branch"),
  "collect-as": askHowToCollect,
};

/** Does what a key asks of the chosen job. The answer is said, not waited for. */
export function actOnJob({ ui, session, say }: Omit<Target, "job">, entry: Entry | undefined, action: Action): void {
  const act = ACTIONS[action];
  if (!act || (entry?.kind === "fold" && action === "open")) return; // it unfolds
  if (entry?.kind === "job") act({ ui, session, say, job: entry.job });
  else say("Choose a job first.", true);
}

function open({ ui, job, say }: Target): void {
  if (job.sessionID !== undefined) openJob(ui, job);
  else if (job.kind === "agent") say(`${job.id} has no conversation yet: it is ${job.state}.`, true);
  else say(`${job.id} is a run: a command without a conversation. What it says is in the detail.`, true);
}

function cancel({ ui, session, job, say }: Target): void {
  if (job.endedAt === undefined) askToCancel(ui, session, job, say);
  else say(`${job.id} has ended already: there is nothing to cancel.`, true);
}

function snapshot({ ui, session, job, say }: Target): void {
  say(`Taking a snapshot of ${job.id} …`, false);
  send(ui, session, { kind: "snapshot", job: job.id, label: null }, say);
}

function collect({ ui, session, job, say }: Target, mode: (typeof MODES)[number]["value"]): void {
  say(`Collecting the changes of ${job.id} …`, false);
  send(ui, session, { kind: "collect", job: job.id, mode }, say);
}

function askHowToCollect(target: Target): void {
  const { dialog, DialogSelect } = target.ui.api.ui;
  dialog.replace(() =>
    createComponent(DialogSelect<(typeof MODES)[number]["value"]>, {
      title: `Collect the changes of ${target.job.id} as`,
      options: [...MODES],
      onSelect: ({ value }) => {
        dialog.clear();
        collect(target, value);
      },
    }),
  );
}

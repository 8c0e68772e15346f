import { createComponent } from "solid-js";
import type { JobView } from "../views/job-view.ts";
import type { LabRequest } from "../views/lab-view.ts";
import { cut } from "./text.ts";
import type { Ui } from "./ui.ts";

/*
 * What a person asks of a job in the terminal UI. Nothing is done without a question or a text of theirs. How it went is
 * said by `say`, because a toast is not drawn everywhere.
 */

export type Say = (text: string, isError: boolean) => void;

export const sayInToast =
  ({ api }: Pick<Ui, "api">): Say =>
  (message, isError) =>
    api.ui.toast({ message, variant: isError ? "error" : "info" });

/** @param session the orchestrator's */
export function askToCancel(ui: Ui, session: string, job: JobView, say: Say): void {
  const { dialog, DialogConfirm } = ui.api.ui;
  dialog.replace(() =>
    createComponent(DialogConfirm, {
      title: `Cancel ${job.id}?`,
      message: `${nameOf(job)} is stopped. Its files are kept.`,
      onConfirm: () => {
        dialog.clear();
        send(ui, session, { kind: "cancel", jobs: [job.id] }, say);
      },
      onCancel: () => dialog.clear(),
    }),
  );
}

/** @param session the orchestrator's */
export function askForMessage(ui: Ui, session: string, job: JobView, say: Say): void {
  const { dialog, DialogPrompt } = ui.api.ui;
  dialog.replace(() =>
    createComponent(DialogPrompt, {
      title: `Message to ${job.id}`,
      placeholder: cut(job.description, 50),
      onConfirm: (value: string) => {
        dialog.clear();
        const text = value.trim();
        if (text !== "") send(ui, session, { kind: "message", job: job.id, text }, say);
      },
      onCancel: () => dialog.clear(),
    }),
  );
}

/** @param session the orchestrator's */
export function send({ source }: Pick<Ui, "source">, session: string, request: LabRequest, say: Say): void {
  void source.ask(session, request).then((answer) => {
    if (answer.kind === "done") say(answer.text, false);
    else say(answer.message, true);
  });
}

const nameOf = ({ description }: JobView): string => `"${cut(description, 60)}"`;

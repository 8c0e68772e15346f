import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ListedJob } from "../../server/parts.ts";
import { act } from "../api.ts";
import { isOpen } from "../layout/format.ts";
import { fields } from "../store.ts";
import { Words } from "./job-name.tsx";

interface Question {
  readonly action: "cancel" | "message" | "collect";
  readonly job: ListedJob;
}

const question = signal<Question | null>(null);
const isAsking = signal(false);
/** What came of the last action. */
const outcome = signal<{ readonly job: string; readonly text: string; readonly isRefused: boolean } | null>(null);

export function Actions({ job }: { readonly job: ListedJob }) {
  const told = outcome.value?.job === job.id ? outcome.value : null;
  const ask = (action: Question["action"]) => () => {
    outcome.value = null;
    question.value = { action, job };
  };
  const canEnd = isOpen(job.state) || job.state === "interrupted";
  return (
    <>
      <div class="tools">
        {canEnd && (
          <button type="button" class="danger" onClick={ask("cancel")}>
            Cancel …
          </button>
        )}
        {job.kind === "agent" && (
          <button type="button" onClick={ask("message")}>
            Message …
          </button>
        )}
        <button type="button" onClick={ask("collect")}>
          Collect …
        </button>
      </div>
      {!fields.value.isLive && (
        <p class="summary">No OpenCode process has this session in use, so nothing can be asked for.</p>
      )}
      <p role="status" class={told?.isRefused ? "refused" : ""}>
        <Words text={told?.text ?? ""} />
      </p>
    </>
  );
}

const TEXTS = {
  cancel: {
    title: "Cancel this job?",
    text: "It is stopped and its sandbox is ended. What it has changed is kept where it can be.",
    yes: "Cancel the job",
    no: "Let it go on",
  },
  message: {
    title: "Send a message to this job?",
    text: "It gets the message as its next turn. A job that has ended wakes up for it, which costs money.",
    yes: "Send",
    no: "Do not send",
  },
  collect: {
    title: "Collect this job's changes?",
    text: "They are put on a git branch of your repository, named after the job. Your files, index and branch stay as they are.",
    yes: "Collect",
    no: "Not now",
  },
} as const;

/** Asks before anything is done. */
export function Confirm() {
  const dialog = useRef<HTMLDialogElement>(null);
  const asked = question.value;
  useLayoutEffect(() => {
    if (asked && !dialog.current?.open) dialog.current?.showModal();
  }, [asked]);
  const close = () => dialog.current?.close();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!asked || isAsking.value) return;
    const { action, job } = asked;
    const message = new FormData(event.currentTarget as HTMLFormElement).get("message");
    const body =
      action === "cancel" ? { jobs: [job.id] } : action === "message" ? { job: job.id, message } : { job: job.id };
    isAsking.value = true;
    const answer = await act(action, fields.peek().session, body);
    isAsking.value = false;
    const isRefused = answer.kind === "refused";
    outcome.value = { job: job.id, text: isRefused ? answer.message : answer.text, isRefused };
    close();
  };
  const texts = TEXTS[asked?.action ?? "cancel"];
  return (
    <dialog
      ref={dialog}
      aria-labelledby="question"
      onClose={() => {
        question.value = null;
      }}
    >
      {asked && (
        <form method="dialog" onSubmit={submit}>
          <h2 id="question">{texts.title}</h2>
          <p>
            <Words text={asked.job.description} /> ({asked.job.id})
          </p>
          <p>{texts.text}</p>
          {asked.action === "message" && (
            <label>
              Message
              <textarea name="message" rows={4} required />
            </label>
          )}
          <div class="tools">
            <button type="submit" class={asked.action === "cancel" ? "danger" : "main"} disabled={isAsking.value}>
              {texts.yes}
            </button>
            <button type="button" onClick={close}>
              {texts.no}
            </button>
          </div>
        </form>
      )}
    </dialog>
  );
}

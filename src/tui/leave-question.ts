import { createComponent } from "solid-js";
import type { LabView } from "../views/lab-view.ts";
import { countsOf } from "./format.ts";
import { isAsked } from "./sessions.ts";
import type { Ui } from "./ui.ts";

interface KeyEvent {
  readonly name: string;
  readonly ctrl: boolean;
  readonly shift?: boolean;
  readonly meta?: boolean;
}

/**
 * Asks before ctrl+c leaves OpenCode while jobs are alive, which would stop them; the host itself leaves at once. Pressed a
 * second time it leaves. Where the key does something else, to typed text, a dialog or a question, it still does.
 */
export function registerLeaveQuestion(ui: Ui, args: readonly string[]): void {
  const { api, source } = ui;
  if (args.includes("attach")) return; // the jobs stay with their server
  let isAsked = false;
  const leave = () => {
    api.ui.dialog.clear();
    api.keymap.dispatchCommand("app.exit");
  };
  api.keymap.intercept(
    "key",
    ({ event, consume }: { event: KeyEvent; consume: () => void }) => {
      if (!event.ctrl || event.name !== "c" || event.shift || event.meta) return;
      if (isAsked) {
        consume();
        return leave();
      }
      const text = leaveText(source.alive());
      if (text === null || !wouldLeave(ui)) return;
      consume();
      isAsked = true;
      api.ui.dialog.replace(
        () =>
          createComponent(api.ui.DialogConfirm, {
            title: "Leave OpenCode?",
            message: text,
            onConfirm: leave,
            onCancel: () => api.ui.dialog.clear(),
          }),
        () => {
          isAsked = false;
        },
      );
    },
    { priority: 1_000 },
  );
}

/** Whether the host would leave at this ctrl+c, by its rules. */
function wouldLeave({ api }: Ui): boolean {
  const keys: readonly { readonly key: unknown }[] = api.tuiConfig.keybinds.get("app.exit");
  return (
    keys.some(({ key }) => String(key).split(",").includes("ctrl+c")) &&
    api.mode.current() === "base" && // a view with keys of its own says what they do
    !isAsked(api) &&
    !api.ui.dialog.open &&
    !api.renderer.currentFocusedEditor?.plainText
  );
}

/** @returns null where nothing would be stopped */
export function leaveText(alive: readonly LabView[]): string | null {
  const counts = alive.map(countsOf);
  const [running, queued] = [sum(counts.map((one) => one.running)), sum(counts.map((one) => one.queued))];
  if (running + queued === 0) return null;
  const what = [running > 0 ? `${jobs(running)} at work` : "", queued > 0 ? `${jobs(queued)} in the queue` : ""];
  return `There ${running + queued === 1 ? "is" : "are"} ${what.filter(Boolean).join(" and ")}. Without OpenCode they stop; their files are kept, and they go on when their session is used again. Press ctrl+c again to leave.`;
}

const jobs = (count: number): string => (count === 1 ? "1 job" : `${count} jobs`);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

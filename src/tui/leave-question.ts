import { createComponent } from "solid-js";
import type { LabView } from "../views/lab-view.ts";
import { countsOf } from "./format.ts";
import { isAsked } from "./sessions.ts";
import type { Ui } from "./ui.ts";

/** OpenCode's command that leaves it, by whatever key or name. */
const LEAVE = "app.exit";

/**
 * Asks before OpenCode is left while jobs are alive, which would stop them; the host itself leaves at once. Asked for a
 * second time it leaves. Of several commands of one name the host runs that of the layer with the highest priority, and the
 * next one where that returns false.
 * @source OpenCode 1.18.33, verified
 */
export function registerLeaveQuestion(ui: Ui, args: readonly string[]): void {
  const { api, source } = ui;
  if (args.includes("attach")) return; // the jobs stay with their server
  let isAsking = false;
  let isLeaving = false;

  function leave(): void {
    api.ui.dialog.clear();
    isLeaving = true; // the command is the host's for this once
    api.keymap.dispatchCommand(LEAVE);
    isLeaving = false;
  }

  /** @returns false = the host shall do what it does */
  function ask(): boolean {
    const text = leaveText(source.alive());
    if (text === null) return false;
    isAsking = true;
    api.ui.dialog.replace(
      () =>
        createComponent(api.ui.DialogConfirm, {
          title: "Leave OpenCode?",
          message: text,
          onConfirm: leave,
          onCancel: () => api.ui.dialog.clear(),
        }),
      () => {
        isAsking = false;
      },
    );
    return true;
  }

  api.keymap.registerLayer({
    priority: 1_000,
    mode: "base",
    enabled: () => !isLeaving && !isAsked(api) && leaveText(source.alive()) !== null,
    commands: [
      {
        name: LEAVE,
        title: "Exit the app",
        category: "System",
        namespace: "palette",
        slashName: "exit",
        slashAliases: ["quit", "q"],
        run: ask,
      },
    ],
  });
  api.keymap.registerLayer({
    priority: 1_000,
    mode: "modal",
    enabled: () => isAsking,
    commands: [{ name: LEAVE, title: "Leave OpenCode", run: leave }],
    bindings: api.tuiConfig.keybinds.get(LEAVE),
  });
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

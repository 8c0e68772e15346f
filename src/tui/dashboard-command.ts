import { createComponent } from "solid-js";
import { memoizeUntilFailure } from "../shared/memoize-until-failure.ts";
import { sayInToast } from "./actions.ts";
import { orchestratorOf, sessionOnScreen } from "./sessions.ts";
import type { Ui } from "./ui.ts";

/**
 * `/dashboard`: opens the page in the user's browser, and shows its address where there is none.
 * @param stateDirOf null = the options are not valid
 */
export function registerDashboard(ui: Ui, stateDirOf: () => Promise<string | null>): void {
  const { api, source } = ui;
  const say = sayInToast(ui);
  let close = () => {};
  let isEnded = false;
  const dashboard = memoizeUntilFailure(async () => {
    const { DashboardProcess } = await import("./dashboard-process.ts");
    const made = new DashboardProcess();
    close = () => made.close();
    if (isEnded) throw new Error("OpenCode is ending");
    return made;
  });
  api.lifecycle.onDispose(() => {
    isEnded = true;
    close();
  });

  const open = async () => {
    const stateDir = await stateDirOf();
    if (stateDir === null) throw new Error("the options are not valid");
    const shown = sessionOnScreen(api.route);
    const session = shown === null ? null : orchestratorOf(api.state, shown);
    const known = session !== null && source.lab()?.view(session) ? [session] : [];
    const { url, isInBrowser } = await (await dashboard()).open(
      [...known, "--state-dir", stateDir],
      api.state.path.directory,
    );
    showAddress(ui, url, isInBrowser);
  };
  api.keymap.registerLayer({
    commands: [
      {
        name: "parallel-agents.dashboard",
        title: "Jobs: open the dashboard",
        desc: "Jobs over time, experiments, metrics and spend, in your browser",
        category: "Jobs",
        namespace: "palette",
        slashName: "dashboard",
        run: () => {
          open().catch((error: unknown) =>
            say(`Could not open the dashboard: ${error instanceof Error ? error.message : String(error)}`, true),
          );
        },
      },
    ],
  });
}

/** Also where a browser was started: it may be on another screen, or show nothing. */
function showAddress({ api }: Ui, url: string, isInBrowser: boolean): void {
  const { dialog, DialogAlert } = api.ui;
  const what = isInBrowser ? "It is open in your browser" : "No browser could be opened here; open it yourself";
  dialog.replace(() =>
    createComponent(DialogAlert, {
      title: "Dashboard",
      message: `${what}. Its address, until OpenCode ends:\n\n${url}`,
      onConfirm: () => dialog.clear(),
    }),
  );
  dialog.setSize("large"); // the address on one line, to be copied
}

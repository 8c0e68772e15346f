import { readFile } from "node:fs/promises";
import { toPage } from "../dashboard/server/page-file.ts";
import { type Dashboard, type DashboardOptions, serveDashboard } from "../dashboard/server/server.ts";
import type { Lab, LabArchive } from "../lab/lab.ts";
import { systemClock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { createSecret } from "../shared/ids.ts";
import { nullIfMissing } from "../shared/missing-file.ts";
import { readKeptChanges } from "../workspace/collect/kept-changes.ts";
import { createGit } from "../workspace/git.ts";
import { chooseSession } from "./choose-session.ts";
import { labOf, projectHere } from "./cli-lab.ts";
import { loadCliOptions } from "./cli-options.ts";
import { type OpenedInBrowser, openInBrowser } from "./open-in-browser.ts";

export interface DashboardCall {
  readonly stateDir: string | null;
  readonly session: string | null;
  /** 0 = any that is free. */
  readonly port: number;
  /** Whether the page is opened in the user's browser, where there is one. */
  readonly opens: boolean;
  /**
   * The terminal UI, which asks on the standard input for the page to be opened, once more with each line, and whose end is
   * the end of that input; null = a person started this.
   */
  readonly attached: { onOpened(outcome: "opened" | "none" | "failed"): void } | null;
  onReady(ready: {
    readonly url: string;
    readonly port: number;
    readonly token: string;
    readonly session: string | null;
  }): void;
  tell(text: string): void;
}

/** Serves the dashboard until the process is told to end. @throws PluginError */
export async function runDashboard(call: DashboardCall): Promise<void> {
  const html = await nullIfMissing(readFile(new URL("../dashboard/page.html", import.meta.url), "utf8"));
  if (html === null)
    throw new PluginError("config_invalid", "The dashboard's page was not built; run `npm run build` in the package.", {
      retryable: false,
    });
  const { stateDir } = await loadCliOptions(call.stateDir);
  const lab = await labOf(call.stateDir, true);
  try {
    const project = await projectHere(lab); // a folder that cannot be read has no sessions
    const session =
      call.session === null
        ? ((project === null ? [] : lab.sessions(project))[0]?.id ?? null) // none yet: the page waits for the first
        : chooseSession(lab, project, call.session);
    const token = createSecret();
    const dashboard = await serve(lab, session, token, toPage(html), call.port, readWorkOf(lab, stateDir));
    const { url, port } = dashboard;
    call.onReady({ url, port, token, session: session ?? lab.sessions(null)[0]?.id ?? null });
    const opened: OpenedInBrowser[] = [];
    const open = async () => {
      const browser = openInBrowser(url, systemClock);
      opened.push(browser);
      const outcome = await browser.outcome;
      call.attached?.onOpened(outcome);
      if (outcome === "failed" && !call.attached) call.tell("No browser could be opened; open the address yourself.");
    };
    if (call.opens) void open();
    await (call.attached ? Promise.race([toldToEnd(), inputEnds(open)]) : toldToEnd());
    for (const browser of opened) browser.close();
    await dashboard.close();
  } finally {
    lab.close();
  }
}

type ReadWork = DashboardOptions["readWork"];

const NOT_KEPT =
  "They are kept when the job's sandbox is given up, some time after its last turn; collect the job to see them before.";

/** What jobs have changed, as it was kept with the state: no sandbox is made for it. */
function readWorkOf(lab: LabArchive, stateDir: string): ReadWork {
  const git = createGit(systemClock, process.env);
  return async (session, jobID) => {
    const base = lab.records(session).find(({ id }) => id === jobID)?.base;
    if (!base)
      return { kind: "none", why: "It did not start from a project's files, so there is nothing to compare with." };
    try {
      const kept = await readKeptChanges(git, stateDir, base.project, jobID);
      return kept ? { kind: "kept", ...kept } : { kind: "none", why: NOT_KEPT };
    } catch (error) {
      return { kind: "none", why: `Could not read what is kept of its changes: ${(error as Error).message}` };
    }
  };
}

/** @throws PluginError */
async function serve(
  lab: Lab,
  session: string | null,
  token: string,
  page: ReturnType<typeof toPage>,
  port: number,
  readWork: ReadWork,
): Promise<Dashboard> {
  try {
    return await serveDashboard({ lab, clock: systemClock, session, port, token, page, readWork });
  } catch (error) {
    const why = (error as Error).message;
    throw new PluginError("config_invalid", `Could not listen on 127.0.0.1, port ${port}: ${why}; name another port.`, {
      cause: error,
      retryable: false,
    });
  }
}

const toldToEnd = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });

/** @param onLine is called for each line */
const inputEnds = (onLine: () => void): Promise<void> =>
  new Promise((resolve) => {
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", (text: string) => {
      for (const _ of text.matchAll(/\n/g)) onLine();
    });
    process.stdin.once("end", resolve);
    process.stdin.once("error", () => resolve());
  });

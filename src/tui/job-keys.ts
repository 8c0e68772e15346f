import type { JobView } from "../views/job-view.ts";
import { askForMessage, askToCancel, sayInToast } from "./actions.ts";
import { isAsked, jobOfSession, orchestratorOf, sessionOnScreen } from "./sessions.ts";
import type { Ui } from "./ui.ts";

/** Single letters in a job's conversation, where there is no prompt that they could be typed into. */
export function registerJobKeys(ui: Ui): void {
  const { api, source } = ui;
  const orchestrator = () => {
    const session = sessionOnScreen(api.route);
    return session === null ? null : orchestratorOf(api.state, session);
  };
  const view = source.follow(orchestrator);
  const job = () => jobOfSession(api.state, view(), sessionOnScreen(api.route));
  const withJob = (run: (session: string, job: JobView) => void) => () => {
    const [session, one] = [orchestrator(), job()];
    if (session !== null && one !== null) run(session, one);
  };
  const say = sayInToast(ui);
  const commands = [
    {
      key: "o",
      name: "parallel-agents.job.orchestrator",
      title: "Open the session that started this job",
      run: withJob((sessionID) => api.route.navigate("session", { sessionID })),
    },
    {
      key: "m",
      name: "parallel-agents.job.message",
      title: "Send this job a message",
      run: withJob((session, one) => askForMessage(ui, session, one, say)),
    },
    {
      key: "x",
      name: "parallel-agents.job.cancel",
      title: "Cancel this job",
      run: withJob((session, one) => askToCancel(ui, session, one, say)),
    },
  ];
  api.keymap.registerLayer({
    enabled: () => job() !== null && !api.ui.dialog.open && !api.renderer.currentFocusedEditor && !isAsked(api),
    commands: commands.map(({ name, title, run }) => ({ name, title, category: "Jobs", run })),
    bindings: commands.map(({ key, name, title }) => ({ key, cmd: name, desc: title })),
  });
}

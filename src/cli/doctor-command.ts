import { systemClock } from "../shared/clock.ts";
import { type Command, UsageError } from "./command.ts";
import { createProgress } from "./progress.ts";

/** How a process ends that a signal has interrupted, as shells count. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export const doctorCommand: Command = {
  name: "doctor",
  summary: "check what the plugin needs here, and say what to do about what is missing or wrong",
  help: `
Usage
  opencode-parallel-agents doctor [options]

  Start it in the folder in which you start OpenCode. It looks at OpenCode, the entries of the plugin, the options, the
  account at Modal, the state directory and what local sandboxes can read, and tries a local sandbox. It changes nothing
  on this machine.

Example
  opencode-parallel-agents doctor
      says what is wrong and what to do: faults first, then warnings, then what is in order
  opencode-parallel-agents doctor --json
      prints the findings as JSON, for programs

Options
  --modal             try a sandbox on Modal too, which costs a fraction of a cent
  --state-dir <path>  state directory to look at; default: the one of the options
  --json              print { ok, findings } as JSON; a finding has name, level, meaning and, if need be, remedy
  --help              print this

Exit code: 0 without faults, 1 with faults, 2 if the command was not understood.
`,
  options: { "state-dir": { type: "string" }, modal: { type: "boolean" }, json: { type: "boolean" } },
  mostWords: 0,
  async run({ text, has, print }) {
    const { diagnose } = await import("./doctor/diagnose.ts");
    const interrupt = new AbortController();
    let code: number | null = null;
    for (const signal of Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[])
      process.on(signal, () => {
        // Whoever asks twice does not want to wait until everything is cleared up in good order.
        if (code !== null) process.exit(code);
        code = EXIT_CODES[signal];
        interrupt.abort();
      });
    const diagnosis = await diagnose({
      directory: folderHere(),
      stateDir: text("state-dir"),
      tryModal: has("modal"),
      env: process.env,
      clock: systemClock,
      progress: createProgress(process.stderr, systemClock, has("json")),
      signal: interrupt.signal,
    });
    if (code !== null) return code;
    const { renderDiagnosis } = await import("./doctor/render.ts");
    print(has("json") ? JSON.stringify(diagnosis, null, 2) : renderDiagnosis(diagnosis));
    return diagnosis.ok ? 0 : 1;
  },
};

/** @throws UsageError */
function folderHere(): string {
  try {
    return process.cwd();
  } catch {
    throw new UsageError("The folder that this was started in does not exist any more: change to another one.");
  }
}

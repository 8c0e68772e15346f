import { STATE_DIR_HELP } from "./cli-options.ts";
import { type Command, UsageError } from "./command.ts";

export const dashboardCommand: Command = {
  name: "dashboard",
  summary: "show jobs, GPUs, spend and experiments on a page in your browser, live",
  help: `
Usage
  opencode-parallel-agents dashboard [session] [options]

Example
  opencode-parallel-agents dashboard
      prints the address of the page, opens it where there is a desktop, and serves it until ctrl+c

The page is served on 127.0.0.1 alone, to whoever has the token in its address; the token is new with each start.
Without a session the newest of this project is shown first, and the page has a list of the others. For a browser on
another machine: ssh -L 4321:127.0.0.1:4321 <this machine>, with --port 4321 here and the printed address there.

Options
  --port <number>     port to listen on; default: any that is free
  --no-open           print the address only; otherwise $BROWSER opens it, or your desktop's browser
${STATE_DIR_HELP}
  --json              print { url, port, token, session } as one line of JSON, and open nothing
  --attached          for the terminal UI: as --json, but open the page, again with each line of standard input, and
                      print { browser: "opened" | "none" | "failed" } each time; end when the input ends
  --help              print this
`,
  options: {
    port: { type: "string" },
    "no-open": { type: "boolean" },
    "state-dir": { type: "string" },
    json: { type: "boolean" },
    attached: { type: "boolean" },
  },
  mostWords: 1,
  async run({ words, text, has, print, tell }) {
    const port = readPort(text("port"));
    const { runDashboard } = await import("./dashboard.ts");
    await runDashboard({
      stateDir: text("state-dir"),
      session: words[0] ?? null,
      port,
      onReady({ url, port, token, session }) {
        if (has("json") || has("attached")) print(JSON.stringify({ url, port, token, session }));
        else
          print(
            `The dashboard is at ${url}\nIt is served until you press ctrl+c. Whoever has this address can use it.`,
          );
      },
      opens: has("attached") || (!has("no-open") && !has("json") && process.stdout.isTTY),
      attached: has("attached") ? { onOpened: (browser) => print(JSON.stringify({ browser })) } : null,
      tell,
    });
    return 0;
  },
};

/** @throws UsageError */
function readPort(given: string | null): number {
  if (given === null) return 0;
  const port = /^\d{1,5}$/.test(given) ? Number(given) : -1;
  if (port < 0 || port > 65_535) throw new UsageError(`"--port" takes a number from 0 to 65535, not "${given}".`);
  return port;
}

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closed, opened } from "./ledger.ts";
import { type OpencodeHome, opencodeBinary } from "./opencode-home.ts";
import { pause, until } from "./wait.ts";

export const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

export interface Terminal {
  readonly pid: number;
  /** Types text, without Enter. */
  sendText(text: string): Promise<void>;
  /** Key names as tmux knows them: "Enter", "C-x", "Down", "Escape". */
  sendKeys(...keys: string[]): Promise<void>;
  /** Types a prompt and sends it. */
  submit(text: string): Promise<void>;
  /** What the screen shows, lines trimmed at the end. */
  capture(): string;
  /** The whole screen with its colours, as escape sequences. */
  captureColours(): string;
  waitForText(pattern: string | RegExp, timeoutMs?: number): Promise<string>;
  waitForNoText(pattern: string | RegExp, timeoutMs?: number): Promise<string>;
  /** Over 120 columns the sidebar is shown. */
  resize(columns: number, rows?: number): void;
  close(): Promise<void>;
}

export interface TerminalOptions {
  args?: string[];
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
}

/** The terminal UI in a tmux of its own; ready when its prompt is. Over 120 columns the sidebar is shown. */
export async function startTui(home: OpencodeHome, options: TerminalOptions = {}): Promise<Terminal> {
  const { args = [], columns = 160, rows = 45, env = {} } = options;
  // Of its own each time: the server of an earlier one may just be ending.
  const socket = join(mkdtempSync(join(home.root, "tmux-")), "socket");
  const tmux = (...words: string[]) =>
    execFileSync("tmux", ["-S", socket, ...words], { encoding: "utf8", env: tmuxEnv(home) });
  const script = join(home.root, "tui.sh");
  writeFileSync(script, launchScript({ ...home.env, TERM: "xterm-256color", COLORTERM: "truecolor", ...env }, args));
  tmux(
    "-f",
    "/dev/null",
    "new-session",
    "-d",
    "-x",
    String(columns),
    "-y",
    String(rows),
    "-c",
    home.project,
    `exec sh ${script}`,
  );
  opened("tmux", socket, () => tmux("kill-server"));
  tmux("set-option", "-g", "remain-on-exit", "on"); // the last words of a crash stay readable
  const pid = Number(tmux("display-message", "-p", "#{pane_pid}").trim());

  const capture = () => tmux("capture-pane", "-p").replaceAll(/[ ]+$/gm, "").trimEnd();
  const shows = (pattern: string | RegExp) => {
    const screen = capture();
    return (typeof pattern === "string" ? screen.includes(pattern) : pattern.test(screen)) ? screen : undefined;
  };
  const sendKeys = async (...keys: string[]) => {
    for (const key of keys) {
      tmux("send-keys", key);
      await pause(60); // keys that arrive together are taken for pasted text
    }
  };
  const sendText = async (text: string) => {
    tmux("send-keys", "-l", text);
    await pause(150);
  };
  const terminal: Terminal = {
    pid,
    capture,
    captureColours: () => tmux("capture-pane", "-p", "-e", "-N"),
    sendKeys,
    sendText,
    async submit(text) {
      await sendText(text);
      await terminal.waitForText(text);
      // The UI drops an Enter that comes before it has finished loading.
      await until(
        async () => {
          if (!isInPrompt(capture(), text)) return true;
          await sendKeys("Enter");
          await pause(400);
          return false;
        },
        { what: `the prompt "${text}" is sent`, seen: capture },
      );
    },
    waitForText: (pattern, timeoutMs = 60_000) =>
      until(() => shows(pattern), { what: `the screen shows ${pattern}`, timeoutMs, everyMs: 100, seen: capture }),
    waitForNoText: (pattern, timeoutMs = 60_000) =>
      until(() => (shows(pattern) === undefined ? capture() : undefined), {
        what: `the screen shows ${pattern} no more`,
        timeoutMs,
        everyMs: 100,
        seen: capture,
      }),
    resize: (width, height = rows) => void tmux("resize-window", "-x", String(width), "-y", String(height)),
    async close() {
      signal(pid, "SIGTERM"); // the host disposes the plugin, 5 s at most
      await until(() => !isAlive(pid), { what: "the terminal UI ends", timeoutMs: 8_000 }).catch(() =>
        signal(pid, "SIGKILL"),
      );
      tmux("kill-server");
      closed("tmux", socket);
    },
  };
  try {
    await terminal.waitForText(agentLine, 40_000);
  } catch (error) {
    await terminal.close();
    throw error;
  }
  return terminal;
}

/** The last line of the prompt box, "┃  Build · m1 mock". It comes last, and nothing can be sent before it is there. */
const agentLine = /┃ +\w+ · /;

/** A sent message has no agent line below it. */
function isInPrompt(screen: string, text: string): boolean {
  const lines = screen.split("\n");
  const at = lines.findLastIndex((line) => line.includes(text));
  return at >= 0 && lines.slice(at + 1, at + 4).some((line) => agentLine.test(line));
}

function launchScript(env: Record<string, string>, args: string[]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
  return `exec env -i ${[...variables, quoted(opencodeBinary), ...args.map(quoted)].join(" ")}\n`;
}

function tmuxEnv(home: OpencodeHome): Record<string, string> {
  return { PATH: home.env.PATH ?? "", HOME: home.home, LANG: "C.UTF-8", TERM: "xterm-256color" };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // ESRCH: it ended by itself.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

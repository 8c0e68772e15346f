import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Session, ToolPart } from "@opencode-ai/sdk/v2/client";
import { probeIsolation } from "../../src/sandboxes/local/probe.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { MCP_SERVER, projectTool } from "./attack-tools.ts";
import { listenOnLoopback } from "./loopback-http.ts";
import type { ModelReply, ModelRequest } from "./model-server.ts";
import { createHome } from "./opencode-home.ts";
import { call, say, script } from "./scripted.ts";
import { metadataOf, startSetup, type TestSetup } from "./test-setup.ts";

/** A host full of things that a job must neither touch nor see, each with a way to tell that it was. */
export interface AttackSetup extends TestSetup {
  /** Text that lies on the host: in HOME, in the project, in the environment, behind its servers. */
  readonly canaries: { readonly home: string; readonly project: string; readonly env: string; readonly web: string };
  /** Where every host call leaves a file. */
  readonly ran: { names(): string[]; clear(): void; path(name: string): string };
  /** A server on the host's loopback. */
  readonly web: { readonly url: string; readonly port: number; hits(): number };
}

/** Begins the first prompt of every job, so that its model requests are told from others. */
const WORKER = "WORKER: ";
const CANARY = /canary-[a-z]+-\d+/;
export const JOB_TOOLS =
  "agents_start agents_status agents_wait job_report sandbox_edit sandbox_exec sandbox_process sandbox_read sandbox_snapshot sandbox_write skill".split(
    " ",
  );

/** Why no job can run here, or null. */
export async function whyNoSandbox(): Promise<string | null> {
  const home = createHome();
  const deps = {
    rootDir: home.stateDir,
    isolation: "auto",
    clock: systemClock,
    log: () => {},
    ids: () => "x",
  } as const;
  const { works, refused } = await probeIsolation(deps);
  await home.remove();
  return works ? null : refused.map(({ why }) => why).join("; ") || "no isolation works";
}

/** OpenCode of a user who allows everything, with an MCP server, a tool in the project and commands, all on the host. */
export async function startAttackSetup(
  options: Record<string, unknown> = {},
  more: { config?: Record<string, unknown>; files?: Record<string, string>; env?: Record<string, string> } = {},
): Promise<AttackSetup> {
  const canary = (name: string) => `canary-${name}-${Math.floor(Math.random() * 1e9)}`;
  const canaries = { home: canary("home"), project: canary("project"), env: canary("env"), web: canary("web") };
  let hits = 0;
  const web = await listenOnLoopback((exchange) => {
    hits += 1;
    exchange.head(200, { "content-type": "text/plain" });
    exchange.end(canaries.web);
  });
  const setup = await startSetup(options, {
    config: {
      permission: "allow",
      subagent_depth: 5, // else the host itself keeps sessions below sessions from having subagents
      mcp: { host: { type: "local", command: ["node", "../home/mcp.mjs"] } },
      agent: {
        free: { mode: "all", description: "May do anything.", prompt: "You are free.", permission: { "*": "allow" } },
        sandbox_worker: { permission: { "*": "allow", bash: "allow" }, tools: { bash: true } },
      },
      command: { leak: { template: "Look at !`cat ../home/canary.txt` and @secret.txt. $ARGUMENTS" } },
      ...more.config,
    },
    files: { "secret.txt": `${canaries.project}\n`, ".opencode/tool/hostly.ts": projectTool("hostly"), ...more.files },
    homeFiles: {
      "canary.txt": `${canaries.home}\n`,
      "mcp.mjs": MCP_SERVER,
      ".config/opencode/skills/known/SKILL.md": "---\nname: known\ndescription: A skill of the user.\n---\nKnown.\n",
    },
    env: { ATTACK_CANARY: canaries.env, ...more.env },
  });
  const folder = join(setup.home.home, "ran");
  mkdirSync(folder);
  const { stop } = setup;
  return Object.assign(setup, {
    canaries,
    ran: {
      names: () => readdirSync(folder).sort(),
      clear() {
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
      },
      path: (name: string) => join(folder, name),
    },
    web: { url: `http://127.0.0.1:${web.port}/`, port: web.port, hits: () => hits },
    async stop() {
      await stop();
      await web.close();
    },
  });
}

export interface DoneJob {
  readonly id: string;
  readonly orchestrator: string;
  readonly child: Session;
  /** Its tool calls, in order. */
  readonly parts: ToolPart[];
}

/** Runs one job to its end: its model gives `replies`, then its result. */
export async function delegate(setup: AttackSetup, replies: ModelReply[], task: object = {}): Promise<DoneJob> {
  const { server } = setup;
  const prompt = `${WORKER}${script(...replies, say("done"))}`;
  const session = await server.createSession();
  const tasks = [{ description: "attack", prompt, ...task }];
  await server.prompt(session.id, script(call("agents_start", { tasks }), call("agents_wait", {}), say("ok")));
  const [job] = (await metadataOf(server, session.id, "agents_wait")).finished ?? [];
  if (job?.state !== "completed") throw new Error(`the job did not complete: ${JSON.stringify(job)}`);
  const child = (await server.children(session.id))[0] as Session;
  return { id: job.id, orchestrator: session.id, child, parts: await allToolParts(setup, child.id) };
}

export async function allToolParts({ server }: TestSetup, sessionID: string): Promise<ToolPart[]> {
  const parts = (await server.messages(sessionID)).flatMap((message) => message.parts);
  return parts.filter((part) => part.type === "tool");
}

export const jobRequests = (setup: TestSetup): ModelRequest[] =>
  setup.model.requests.filter(({ firstUser }) => firstUser.startsWith(WORKER));

/** What no attack may change: nothing of the host ran, was asked, or reached a job's model. */
export function breaches(setup: AttackSetup): string[] {
  const seen = jobRequests(setup).filter(({ raw }) => CANARY.test(JSON.stringify(raw)));
  return [
    ...setup.ran.names().map((name) => `${name} ran on the host`),
    ...seen.map(({ messages }) => `a job's model was shown ${JSON.stringify(messages).match(CANARY)}`),
    ...(setup.web.hits() > 0 ? [`the host's server was asked ${setup.web.hits()} times`] : []),
  ];
}

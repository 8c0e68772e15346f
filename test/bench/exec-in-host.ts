import { fileURLToPath } from "node:url";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalSetup } from "../support/modal-setup.ts";
import type { OpencodeServer } from "../support/opencode.ts";
import { call, say, script } from "../support/scripted.ts";
import { turn, wait } from "../support/turns.ts";
import { report } from "./stats.ts";
import { callTimes } from "./tool-times.ts";

const STUB = fileURLToPath(new URL("stub-exec-main.ts", import.meta.url));
const CALLS = 8;
const COMMANDS = { "prints one word": "echo done", "takes 300 ms": "sleep 0.3; echo done" };

/**
 * Times `sandbox_exec` as OpenCode does, from the beginning of a call to its result, beside a tool in the same OpenCode that
 * only calls the SDK. Both use a Modal server with the times of the real service.
 */
export async function benchExecInHost(rounds: number): Promise<void> {
  if (!canIsolate())
    return console.log("exec-in-host: skipped, the tests' server plays sandboxes with bubblewrap only\n");
  const setup = await startModalSetup(
    { parkAfterSeconds: 0, budget: { usdPerSession: null } },
    {
      files: { ".opencode/plugin/stub.ts": `export { default } from ${JSON.stringify(STUB)};\n` },
      server: { latencySecondMs: 1_000, bootSecs: [0, 0] },
    },
  );
  const { server } = setup;
  try {
    for (const [what, command] of Object.entries(COMMANDS)) {
      const ours: number[] = [];
      const stubs: number[] = [];
      for (let round = 0; round < Math.ceil(rounds / 3); round++) {
        ours.push(...(await ofOurs(server, command)));
        stubs.push(...(await ofStub(server, command)));
      }
      report(
        `A command that ${what}, as a tool call in OpenCode on Modal`,
        { name: "sandbox_exec", samples: ours },
        { name: "a tool that only calls the SDK", samples: stubs },
      );
    }
  } finally {
    await setup.stop();
  }
}

/** The first call also waits for the sandbox, and is left out. */
const calls = (tool: string, command: string) => Array.from({ length: 1 + CALLS }, () => call(tool, { command }));

async function ofOurs(server: OpencodeServer, command: string): Promise<number[]> {
  const session = await server.createSession();
  const prompt = script(...calls("sandbox_exec", command), say("done"));
  const since = server.events.all.length;
  const [, waited] = await turn(
    server,
    session.id,
    call("agents_start", { tasks: [{ description: "times commands", prompt }] }),
    wait(),
  );
  const [job] = waited?.metadata.finished ?? [];
  return callTimes(server, since, { sessionID: job?.sessionID ?? "", tool: "sandbox_exec" }).slice(1);
}

async function ofStub(server: OpencodeServer, command: string): Promise<number[]> {
  const session = await server.createSession();
  const since = server.events.all.length;
  await server.prompt(session.id, script(...calls("stub_exec", command), say("done")));
  return callTimes(server, since, { sessionID: session.id, tool: "stub_exec" }).slice(1);
}

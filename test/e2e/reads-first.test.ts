import { expect, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import { withModalSetup } from "../support/modal-setup.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { atOnce, call, say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, start, status, task, wait } from "../support/turns.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/* While a job's sandbox still gets what has changed in its project, its model reads there; all else waits. */

const WARM = { parkAfterSeconds: 600, environments: { default: { workspace: "project", warm: 1 } } };

/** Has git in a work directory of the host stop, from before it changes files until the gate is opened. */
function closeGate(workdir: string): void {
  const hooks = join(workdir, ".git/hooks");
  mkdirSync(hooks, { recursive: true });
  const hook = "until [ -e .git/go ]; do sleep 0.1; done; rm -f .git/hooks/post-index-change\n";
  writeFileSync(join(hooks, "post-index-change"), `#!/bin/sh\n${hook}`, { mode: 0o755 });
  utimesSync(join(workdir, "README.md"), 0, 0); // so that git writes its index anew when it has looked at the files
}

const openGate = (workdir: string): void => writeFileSync(join(workdir, ".git/go"), "");

/** @param workdirs work directories on the host of the sandboxes that there are */
async function readsFirst({ server, home }: TestSetup, workdirs: () => Promise<string[]>): Promise<void> {
  const project = (path: string, text: string) => writeFileSync(join(home.project, path), text);
  project("kept.txt", "kept\n");
  project("README.md", "# Before\n");
  const session = await server.createSession();
  await server.prompt(session.id, script(say("hello")));
  const ready = async () => (await ask(server, session.id, status())).metadata.environments[0]?.warm === 1;
  await until(ready, { what: "one is ready", everyMs: TURN_EVERY_MS });
  const [workdir = ""] = await workdirs();
  closeGate(workdir);
  project("README.md", "# Changed since\n");
  project("new.txt", "new\n");
  const read = (path: string) => call("sandbox_read", { path });
  const edit = call("sandbox_edit", { path: "README.md", old_string: "# Changed since", new_string: "# Mine" });
  const replies = [atOnce(read("README.md"), read("kept.txt"), read("new.txt"), edit), read("README.md"), say("done")];
  await ask(server, session.id, start(task("reads first", ...replies)));
  const parts = async (): Promise<ToolPart[]> => {
    const [job] = (await ask(server, session.id, status())).metadata.jobs;
    const messages = job?.sessionID ? await server.messages(job.sessionID) : [];
    return messages.flatMap((message) => message.parts).filter((part) => part.type === "tool");
  };
  const outputs = (of: readonly ToolPart[]) =>
    of.map(({ state }) => (state.status === "completed" ? state.output : state.status));
  let seen: string[] = [];
  await until(
    async () => {
      seen = outputs(await parts());
      return seen.length === 4 && seen.slice(0, 2).every((output) => output !== "running" && output !== "pending");
    },
    { what: "it has read", everyMs: TURN_EVERY_MS, seen: () => seen },
  );
  expect(seen).toEqual([
    "1\t# Before\n[read before the project's newest changes were in, which may have changed it: read it again before you edit it]",
    "1\tkept",
    "running",
    "running",
  ]);
  openGate(workdir);
  const waited = await ask(server, session.id, wait());
  expect(waited.metadata.finished).toMatchObject([{ state: "completed", result: "done" }]);
  expect(outputs(await parts()).slice(2)).toEqual(["1\tnew", "Replaced once in README.md (line 1).", "1\t# Mine"]);
}

sandboxTest("of a local sandbox", async () => {
  const setup = await startSetup(WARM);
  try {
    const { home } = setup;
    await readsFirst(setup, async () =>
      sandboxesOf(home).map((id) => join(home.stateDir, "local/sandboxes", id, "workspace")),
    );
  } finally {
    await setup.stop();
  }
});

test("of a sandbox on Modal", () =>
  withModalSetup(WARM, {}, async (setup) => {
    await readsFirst(setup, async () =>
      (await setup.modal.sandboxes({ live: true }))
        .filter(({ tags }) => tags.warm !== undefined)
        .map(({ root }) => join(root, "workspace")),
    );
  }));

import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../support/opencode.ts";
import { HOLD, holders, openGates, sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { ask, shell, start, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

sandboxTest("an undo in a job's session leaves alone what the user changed while the job was at work", async () => {
  const setup = await startSetup({}, { snapshot: true, files: { "train.py": "lr = 1\n" } });
  try {
    const { server, home } = setup;
    const session = await server.createSession();
    await ask(server, session.id, start(task("works", shell(HOLD), say("done"))));
    await until(() => holders(home).length === 1, { what: "the job is at work" });
    writeFileSync(join(home.project, "train.py"), "lr = 2\n");
    openGates(home);
    const [waited] = await turn(server, session.id, wait());
    const [job] = waited?.metadata.finished ?? [];
    const sessionID = job?.sessionID as string;
    const isRecorded = (type: string) =>
      server.events.all.some((event) => event.type === "message.part.updated" && event.properties.part.type === type);
    expect(isRecorded("patch")).toBe(true); // OpenCode took the change for the job's
    const [first] = await server.messages(sessionID);
    must(await server.client.session.revert({ sessionID, messageID: first?.info.id as string }));
    expect(readFileSync(join(home.project, "train.py"), "utf8")).toBe("lr = 2\n");
    must(await server.client.session.unrevert({ sessionID }));
    expect(readFileSync(join(home.project, "train.py"), "utf8")).toBe("lr = 2\n");
  } finally {
    await setup.stop();
  }
});

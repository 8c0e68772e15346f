import { afterAll, beforeAll, expect } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { modalClient } from "../support/modal-server/client.ts";
import { type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { message, outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ modal: { persistence: "tar" }, parkAfterSeconds: 2 });
});

afterAll(async () => {
  await setup?.stop();
});

const reads = (from: string, command: string, name = "reads") => ({ ...task(name, shell(command), say("read")), from });

sandboxTest(
  "tasks start from a job's sandbox, from one of the user's own and from his image, and a job goes on from its tar",
  async () => {
    const { server, modal } = setup;
    const client = await modalClient(modal);
    const app = await client.apps.fromName("the-users-own", { createIfMissing: true });
    const theirs = await client.sandboxes.create(app, client.images.fromRegistry("python:3.12-bookworm"));
    await (await theirs.exec(["/bin/sh", "-c", "echo theirs > /theirs"])).wait();
    const { imageId } = await theirs.snapshotFilesystem();

    const session = await server.createSession();
    const keeps = task("keeps", shell("echo kept > note; echo elsewhere > /elsewhere"), say("done"));
    const [, first] = await turn(server, session.id, start(keeps), wait());
    const [job] = first?.metadata.finished ?? [];
    const sandboxID = job?.sandboxID as string; // of that moment: its sandbox is parked soon
    expect(sandboxID).toMatch(/^sb-/);
    const [, second] = await turn(
      server,
      session.id,
      start(
        reads(sandboxID, "cat note", "a"),
        reads(theirs.sandboxId, "cat /theirs", "b"),
        reads(imageId, "cat /theirs; pwd", "c"),
        reads("sb-0000000000000000000000", "true", "d"),
      ),
      wait(),
    );
    const ended = [...(second?.metadata.finished ?? [])].sort((a, b) => a.description.localeCompare(b.description));
    const said = await Promise.all(
      ended.slice(0, 3).map(async (one) => (await outputsOf(server, one, "sandbox_exec"))[0]),
    );
    expect(said).toEqual(["kept\n[exit code 0]", "theirs\n[exit code 0]", "theirs\n/workspace\n[exit code 0]"]);
    expect(ended[3]).toMatchObject({ state: "failed", error: { code: "invalid_task" } });

    const other = await server.createSession();
    const [, third] = await turn(server, other.id, start(reads(sandboxID, "cat note")), wait());
    expect(third?.metadata.finished).toMatchObject([{ state: "failed", error: { code: "invalid_task" } }]);
    expect(await theirs.poll()).toBe(null);
    await theirs.terminate();
    await noneLeft(modal);

    expect(readdirSync(join(setup.home.stateDir, "modal-tars")).length).toBe(4);
    const again = script(shell("cat note; cat /elsewhere || echo gone"), say("read"));
    const [, fourth] = await turn(server, session.id, message(job?.id as string, again), wait());
    expect((await outputsOf(server, job, "sandbox_exec"))[1]).toContain("kept\n");
    expect((await outputsOf(server, job, "sandbox_exec"))[1]).toContain("gone\n");
    expect(fourth?.metadata.finished?.[0]?.notes.join()).toContain("It holds only /workspace");
    await noneLeft(modal);
  },
);

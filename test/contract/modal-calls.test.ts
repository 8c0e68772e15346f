import { expect } from "bun:test";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

/* Each call takes a round trip to Modal and CPU time here, and a campaign runs thousands of commands. */

const modal = useModalServer();

/** The calls that `work` makes, sorted. */
async function callsOf(work: () => Promise<void>): Promise<string[]> {
  const before = (await modal().calls()).length;
  await work();
  return (await modal().calls())
    .slice(before)
    .map(({ method }) => method)
    .sort();
}

modalTest("a command without input and with one stream takes two calls, from its start to its exit code", async () => {
  const provider = modalProvider();
  const sandbox = await provider.create({
    name: "calls", tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
  }); // biome-ignore format: one argument
  const command = "cat; echo out; echo err >&2; exit 3";
  for (const keepLog of [false, true]) {
    const calls = await callsOf(async () => {
      const ran = await sh(sandbox, command, { noInput: true, oneStream: true, keepLog });
      expect(ran).toEqual({ exit: exited(3), stdout: "out\nerr\n", stderr: "" });
    });
    expect(calls).toEqual(["TaskExecStart", "TaskExecStdioRead"]);
  }
  await sandbox.terminate();
  await provider.close();
});

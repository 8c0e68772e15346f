import { expect, test } from "bun:test";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { createFakeProcess } from "./fake-process.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

const HOME = "/home/agent";

async function openJob(world: World) {
  const { call } = openTools(world);
  const { jobID, sessionID } = await openWorker(world);
  const files = () => [...(world.machine.sandboxes()[0]?.files.keys() ?? [])];
  return { call, jobID, sessionID, files, inside: (name: string, args: unknown) => call(name, args, sessionID) };
}

test(
  "a path that begins with ~ or $HOME lies in the sandbox's home, and the answer says where",
  inWorld(async (world) => {
    const { inside, files } = await openJob(world);
    for (const path of ["~/a.txt", "$HOME/a.txt", "${HOME}/a.txt"]) {
      const written = await inside("sandbox_write", { path, content: "one\n" });
      expect(written.output).toContain(`${HOME}/a.txt`);
      expect((await inside("sandbox_edit", { path, old_string: "one", new_string: "two" })).metadata.path).toBe(
        `${HOME}/a.txt`,
      );
      const read = await inside("sandbox_read", { path });
      expect([read.title, read.output]).toEqual([`${HOME}/a.txt`, "1\ttwo"]);
    }
    await inside("sandbox_write", { path: "./~/b", content: "" });
    await inside("sandbox_write", { path: "~c", content: "" });
    expect(files().filter((path) => /~|HOME|a\.txt/.test(path))).toEqual([
      `${HOME}/a.txt`,
      "/workspace/~/b",
      "/workspace/~c",
    ]);
  }),
);

test(
  "the user's rules hold for such a path as it is meant",
  inWorld(async (world) => {
    const { inside, jobID } = await openJob(world);
    const rules = [{ tool: "sandbox_write", pattern: `${HOME}/.ssh/*`, isDenial: true }];
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    sessionJobs.update(jobID, (job) => ({ ...job, task: { ...job.task, rules } }));
    const answer = await inside("sandbox_write", { path: "~/.ssh/config", content: "" });
    expect(errorOf(answer)?.code).toBe("permission_denied");
  }),
);

test(
  "a command's workdir and a snapshot's path are taken in the same way",
  inWorld(async (world) => {
    const { inside } = await openJob(world);
    const workdirs: (string | undefined)[] = [];
    world.machine.onStart = ({ workdir }) => {
      workdirs.push(workdir);
      const process = createFakeProcess("1", null);
      process.end({ kind: "exited", code: 0 });
      return process;
    };
    for (const workdir of ["~", "~/sub", "file:///workspace/x"])
      await inside("sandbox_exec", { command: "ls", workdir });
    expect(workdirs).toEqual([HOME, `${HOME}/sub`, "/workspace/x"]);
    await inside("sandbox_write", { path: "~/out/a", content: "123" });
    expect((await inside("sandbox_snapshot", { path: "~/out" })).metadata.sizeBytes).toBe(3);
  }),
);

test(
  "a file: URL names its file",
  inWorld(async (world) => {
    const { inside, files } = await openJob(world);
    await inside("sandbox_write", { path: "file:///workspace/a", content: "" });
    await inside("sandbox_write", { path: "file://localhost/workspace/b", content: "" });
    expect(files().filter((path) => /\/[ab]$|file:/.test(path))).toEqual(["/workspace/a", "/workspace/b"]);
  }),
);

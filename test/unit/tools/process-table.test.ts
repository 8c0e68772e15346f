import { expect, test } from "bun:test";
import { createProcessTable } from "../../../src/tools/process-table.ts";
import { settle } from "../../support/fake-clock.ts";
import { createFakeProcess } from "./fake-process.ts";

const open = () => {
  const table = createProcessTable();
  const process = createFakeProcess("7", "/log");
  return { table, process, followed: table.add("job_1", "make", process) };
};

test("each output is returned once, including output from before the first call", async () => {
  const { process, followed } = open();
  process.print("one ");
  process.print("two");
  await settle();
  expect(followed.takeOutput()).toEqual({ text: "one two", cut: false });
  expect(followed.takeOutput()).toEqual({ text: "", cut: false });
  process.print("three");
  await followed.next();
  expect(followed.takeOutput().text).toBe("three");
  expect(followed.exitStatus()).toBeNull();
});

test("the exit status follows the last output, and waiting afterwards returns at once", async () => {
  const { process, followed } = open();
  process.print("last words");
  process.end({ kind: "exited", code: 3 });
  await settle();
  expect(followed.takeOutput().text).toBe("last words");
  expect(followed.exitStatus()).toEqual({ kind: "exited", code: 3 });
  await followed.next();
});

test("a process lost with its sandbox gets an unknown exit status", async () => {
  const { process, followed } = open();
  process.break("the sandbox is gone");
  await settle();
  expect(followed.exitStatus()).toEqual({ kind: "unknown", reason: "the sandbox is gone" });
});

test("input and signals reach the process", async () => {
  const { process, followed } = open();
  await followed.write("yes\n");
  await followed.signal("SIGINT");
  expect([process.inputs, process.signals]).toEqual([["yes\n"], ["SIGINT"]]);
});

test("processes are kept by job; of one that ended with its sandbox the end is remembered, with the reason", async () => {
  const { table, process, followed } = open();
  const done = createFakeProcess("8");
  table.add("job_1", "make", done);
  done.end({ kind: "exited", code: 0 });
  const other = table.add("job_2", "test", createFakeProcess("7"));
  expect([table.get("job_1", "7"), table.get("job_2", "7"), table.get("job_3", "7")]).toEqual([followed, other, null]);
  process.break("the sandbox ended while the command was running");
  await settle();
  table.leave("job_1", "it ended when the sandbox was parked at 14:02 UTC");
  const ended = table.get("job_1", "7");
  expect(ended).toMatchObject({ id: "7", command: "make", logPath: "/log" });
  expect(ended?.exitStatus()).toEqual({ kind: "unknown", reason: "it ended when the sandbox was parked at 14:02 UTC" });
  expect(table.get("job_1", "8")?.exitStatus()).toEqual({ kind: "exited", code: 0 });
  await ended?.next();
  await expect(ended?.write("x") ?? Promise.resolve()).rejects.toThrow("parked at 14:02 UTC");
  expect(table.list("job_2")).toEqual([other]);
  const again = table.add("job_1", "serve", createFakeProcess("7"));
  expect(table.get("job_1", "7")).toBe(again); // numbers begin anew in another sandbox
});

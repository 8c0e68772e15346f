import { expect, test } from "bun:test";
import { startProcess } from "../../support/child-process.ts";
import { until } from "../../support/wait.ts";

const env = { PATH: process.env.PATH ?? "" };
const shell = (script: string) => startProcess("sh", ["-c", script], { cwd: "/", env, name: "sh" });

test("it gives output and the way it ended", async () => {
  const process = await shell("echo out; echo err >&2; exit 3");
  expect(await process.exited).toEqual({ code: 3, signal: null });
  expect([process.stdout(), process.stderr()]).toEqual(["out\n", "err\n"]);
});

test("kill takes along what the process started", async () => {
  const parent = await shell("sleep 60 & echo $!; wait");
  const child = Number(await until(() => parent.stdout().trim(), { what: "the pid is printed" }));
  await parent.kill();
  await until(() => !isRunning(child), { what: "the child is gone" });
});

test("stop ends by force what ignores SIGTERM", async () => {
  const process = await shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  await until(() => process.stdout().includes("ready"), { what: "it is ready" });
  expect(await process.stop(200)).toMatchObject({ signal: "SIGKILL" });
});

test("a wait in vain says what it waited for and what was there", async () => {
  const waiting = until(() => false, { what: "pigs fly", timeoutMs: 20, seen: () => "no pigs" });
  await expect(waiting).rejects.toThrow("waited 20 ms in vain: pigs fly\nseen: no pigs");
});

function isRunning(pid: number): boolean {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=", "-p", String(pid)]);
  const state = stdout.toString().trim();
  return state !== "" && !state.startsWith("Z"); // a zombie waits for an init that may never reap it
}

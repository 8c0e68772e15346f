import { expect } from "bun:test";
import { commandsWith, HOLD, holders, openGates, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, inJob, shell, start, status, task, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject();

sandboxTest("shows the output of a command while it runs, and keeps only the result", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const command = `echo first line; echo to stderr >&2; ${HOLD}; echo last line`;
  await ask(server, session.id, start(task("streams", shell(command), say("streamed"))));
  await until(() => holders(home).length === 1, { what: "it holds" });
  const { sessionID } = (await ask(server, session.id, status())).metadata.jobs[0] ?? {};
  const parts = async () => (await server.messages(sessionID as string)).flatMap((message) => message.parts);
  const shown = await until(
    async () => (await parts()).find((part) => part.type === "text" && part.text === "```\nfirst line\nto stderr\n```"),
    { what: "its output is shown below it" },
  );
  const [running] = await server.toolParts(sessionID as string, "sandbox_exec");
  expect(running?.state).toMatchObject({
    status: "running",
    title: command,
    metadata: { output: "first line\nto stderr" },
  });
  openGates(home);
  await ask(server, session.id, wait());
  const isGone = async () => !(await parts()).some(({ id }) => id === shown.id);
  await until(isGone, { what: "what was shown is taken away" });
  const [ended] = await server.toolParts(sessionID as string, "sandbox_exec");
  expect(ended?.state).toMatchObject({
    status: "completed",
    output: expect.stringMatching(/^first line\nto stderr\nheld \d+ \d+\nlast line\n\[exit code 0\]$/),
    metadata: { exitCode: 0, timedOut: false, truncated: false },
  });
});

sandboxTest("kills a command and everything it started at its time limit, and keeps the sandbox", async () => {
  const seconds = uniqueSeconds();
  const [late, after, stubborn, env] = await inJob(
    setup.server,
    shell(`echo begun; touch file; sleep ${seconds} & sleep ${seconds}`, { timeout_seconds: 0.5 }),
    shell("ls; exit 3", { workdir: "/workspace" }),
    shell(`trap '' TERM; echo deaf; sleep ${seconds}; sleep ${seconds}`, { timeout_seconds: 0.5 }),
    shell("pwd; whoami; echo $HOME; pgrep -c sleep", { workdir: "/tmp" }),
  );
  expect(late?.output).toBe(
    "begun\n[stopped after 0.5 s, its time limit; give a longer timeout_seconds, or run it in the background]",
  );
  expect(late?.metadata).toMatchObject({ exitCode: null, timedOut: true });
  expect(after).toMatchObject({ output: "file\n[exit code 3]", metadata: { exitCode: 3, timedOut: false } });
  expect(stubborn?.output).toStartWith("deaf\n[stopped after 0.5 s");
  expect(env?.output).toStartWith("/tmp\n");
  expect(env?.output).toEndWith("\n0\n[exit code 1]");
  expect(commandsWith(seconds)).toEqual([]);
});

sandboxTest("cuts five megabytes of output in the middle, and keeps the whole log at the path it gives", async () => {
  const command = "echo BEGIN; head -c 5000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo END";
  const [flood, look] = await inJob(setup.server, shell(command), shell("wc -c < $log1; head -1 $log1; tail -1 $log1"));
  expect(flood?.output.length).toBeLessThan(40_000);
  expect(flood?.output).toStartWith("BEGIN\nxxx");
  expect(flood?.output).toEndWith("END\n[exit code 0]");
  expect(flood?.output).toMatch(/\[… \d{7} bytes cut; the full output is in \/\S+ …\]/);
  expect(look?.output).toBe(`${flood?.metadata.bytes}\nBEGIN\nEND\n[exit code 0]`);
  expect(flood?.metadata).toMatchObject({ exitCode: 0, bytes: 5_050_516 });
});

sandboxTest("reads background processes, sends them input and signals, and reports how they ended", async () => {
  const follow = (n: number, args: object = {}) => call("sandbox_process", { process: `$process${n}`, ...args });
  const seconds = uniqueSeconds();
  const reader = "echo up; while read line; do echo got $line; [ $line = end ] && exit 7; done";
  const answers = await inJob(
    setup.server,
    shell(reader, { background: true }),
    shell(`trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done`, { background: true }),
    shell("tty; stty size >/dev/null && read answer && echo said $answer", { tty: true }),
    shell(`sleep ${seconds}`, { background: true }),
    follow(1, { input: "one\n" }),
    follow(1, { input: "end\n", wait_seconds: 20 }),
    follow(1),
    follow(2, { signal: "SIGINT", wait_seconds: 20 }),
    follow(3, { input: "yes\n", wait_seconds: 20 }),
    follow(4, { signal: "SIGKILL", wait_seconds: 20 }),
    call("sandbox_process", { process: "999999" }),
    follow(4, { signal: "SIGWHATEVER" }),
  );
  const [first, , , , one, end, none, caught, tty, killed, unknown, wrong] = answers;
  expect(first?.output).toMatch(
    /^Process \S+ runs in the background; follow it with sandbox_process\. Its output is kept in /,
  );
  expect(one?.output).toBe("up\ngot one\n[running]");
  expect(one?.metadata).toMatchObject({ running: true, exitCode: null });
  expect(end?.output).toBe("got end\n[exit code 7]");
  expect(end?.metadata).toMatchObject({ running: false, exitCode: 7 });
  expect(none?.output).toBe("(no new output)\n[exit code 7]");
  expect(caught?.output).toBe("ready\ncaught\n[exit code 5]");
  expect(tty?.output).toMatch(/^\/dev\/(pts\/\d+|tty)[\s\S]*said yes[\s\S]*\[exit code 0\]$/);
  expect(killed?.output).toContain("SIGKILL");
  expect(unknown?.metadata.error).toMatchObject({ code: "not_found" });
  expect(unknown?.output).toContain("This job has no background process 999999. It has ");
  expect(wrong?.metadata.error).toMatchObject({ code: "invalid_task" });
  expect(commandsWith(seconds)).toEqual([]);
});

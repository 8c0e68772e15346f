import { expect } from "bun:test";
import { png } from "../support/images.ts";
import { commandsWith, HOLD, holders, openGates, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, inJob, shell, start, status, task, turn, wait } from "../support/turns.ts";
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
  const [late, after, stubborn, left, env] = await inJob(
    setup.server,
    shell(`echo begun; touch file; sleep ${seconds} & sleep ${seconds}`, { timeout_seconds: 0.5 }),
    shell("ls; exit 3", { workdir: "/workspace" }),
    shell(`trap '' TERM; echo deaf; sleep ${seconds}; sleep ${seconds}`, { timeout_seconds: 0.5 }),
    shell(`(trap '' TERM; sleep ${seconds}; sleep ${seconds}) & echo deaf child; sleep ${seconds}`, {
      timeout_seconds: 0.5,
    }),
    shell("pwd; whoami; echo $HOME; pgrep -c sleep", { workdir: "/tmp" }),
  );
  expect(late?.output).toBe(
    "begun\n[stopped after 0.5 s, its time limit; give a longer timeout_seconds, or run it in the background]",
  );
  expect(late?.metadata).toMatchObject({ exitCode: null, timedOut: true });
  expect(after).toMatchObject({ output: "file\n[exit code 3]", metadata: { exitCode: 3, timedOut: false } });
  expect(stubborn?.output).toStartWith("deaf\n[stopped after 0.5 s");
  expect(left?.output).toStartWith("deaf child\n[stopped after 0.5 s");
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

sandboxTest("shows a model that sees images the image itself, and another one its size", async () => {
  const { server, model } = setup;
  const image = Buffer.from(png(40, 30)).toString("base64");
  const draw = shell(`printf %s ${image} | base64 -d > plot.dat`);
  const read = call("sandbox_read", { path: "plot.dat" });
  const session = await server.createSession();
  const from = model.requests.length;
  const seeing = { ...task("sees", draw, read, say("seen")), model: "mock/m2" };
  const blind = task("does not see", draw, read, say("told"));
  const [, waited] = await turn(server, session.id, start(seeing, blind), wait());
  expect(waited?.metadata.finished.map(({ result }) => result).sort()).toEqual(["seen", "told"]);
  const lastOf = (name: string) => {
    const ofJob = model.requests.slice(from).filter((one) => one.model === name && one.tools.includes("sandbox_read"));
    const last = ofJob.at(-1)?.raw as { messages: unknown[] } | undefined;
    return JSON.stringify(last?.messages.slice(3)); // behind the first tool call
  };
  expect(lastOf("m2")).toContain(`"url":"data:image/png;base64,${image}"`);
  expect(lastOf("m2")).toContain("plot.dat is a PNG image of 40 × 30 pixels");
  expect(lastOf("m1")).toContain("It is not shown: your model takes no images.");
  expect(lastOf("m1")).not.toContain("data:image");
  expect(JSON.stringify(waited)).not.toContain(image);
});

sandboxTest("shows odd names as escapes, edits CRLF files, and collapses what is redrawn", async () => {
  const odd =
    "printf x > 'a b é'; printf x > \"$(printf 'line\\nbreak')\"; printf x > \"$(printf 'red\\033[31m\\377\\342\\200\\256')\"";
  const bar = "for i in $(seq 2000); do printf '\\r%d/2000 [%s]' $i '####'; done; printf '\\r\\033[2Kdone\\n'";
  const [, listed, , edited, lines, redrawn, raw, typed, watched] = await inJob(
    setup.server,
    shell(`mkdir odd; cd odd; ${odd}`),
    call("sandbox_read", { path: "odd" }),
    shell("printf 'a\\r\\nb\\r\\nc\\r\\n' > crlf.txt; chmod 755 crlf.txt; ln -s crlf.txt link"),
    call("sandbox_edit", { path: "link", old_string: "a\nb", new_string: "A\nB\nBB" }),
    shell("od -c crlf.txt | head -2; stat -c %a crlf.txt; readlink link"),
    shell(bar),
    shell("cat $(grep -l 2000/2000 /run/logs/*) | tr '\\r' '\\n' | wc -l"),
    shell(bar, { tty: true }),
    call("sandbox_process", { process: "$process1", wait_seconds: 20 }),
  );
  expect(listed?.output).toContain(" a b é\n");
  expect(listed?.output).toContain(" line\\nbreak");
  expect(listed?.output).toMatch(/ red\\033\[31m\\377\\342\\200\\256$|red\S*31m\S+$/m);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none must be left
  expect(listed?.output).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
  expect(edited?.output).toBe("Replaced once in link (line 1).");
  expect(lines?.output.replace(/ +/g, " ")).toContain("A \\r \\n B \\r \\n B B \\r \\n c \\r \\n");
  expect(lines?.output).toContain("755\ncrlf.txt\n");
  expect(redrawn?.output).toBe("done\n[exit code 0]");
  expect(raw?.output).toBe("2002\n[exit code 0]");
  expect(typed?.metadata.process).toEqual(expect.any(String));
  expect(watched?.output).toBe("done\n[exit code 0]");
});

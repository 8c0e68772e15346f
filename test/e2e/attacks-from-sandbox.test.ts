import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type AttackSetup, breaches, delegate, startAttackSetup, whyNoSandbox } from "../support/attack-setup.ts";
import { atOnce, call } from "../support/scripted.ts";
import { outputOf } from "../support/test-setup.ts";

const onHost = promisify(execFile);
const why = await whyNoSandbox();

describe.skipIf(why !== null)(`a job that attacks the host from its sandbox${why ? ` (skipped: ${why})` : ""}`, () => {
  let setup: AttackSetup;
  let sockets: Server[];
  let sibling: string;
  beforeAll(async () => {
    setup = await startAttackSetup({ parkAfterSeconds: 3600 }); // an ended job keeps its sandbox, so that it can be robbed
    sibling = `sibling-${Math.random()}`;
    const write = call("sandbox_exec", { command: `echo ${sibling} | tee secret ~/secret /tmp/secret` });
    await delegate(setup, [write]);
    sockets = [`${setup.home.home}/file.sock`, `\0${setup.home.home}`].map((path) =>
      createServer((socket) => socket.end("REACHED")).listen(path),
    );
  });
  afterAll(async () => {
    for (const server of sockets ?? []) server.close();
    await setup?.stop();
  });
  afterEach(async () => {
    expect(breaches(setup)).toEqual([]);
    expect(readFileSync(join(setup.home.home, "canary.txt"), "utf8")).toBe(`${setup.canaries.home}\n`);
    expect((await fetch(`${setup.server.url}/global/health`)).status).toBe(200);
  });

  const ask = (port: number | string, host = "127.0.0.1") =>
    `exec 3<>/dev/tcp/${host}/${port} && printf 'GET /global/health HTTP/1.0\\r\\n\\r\\n' >&3 && head -c 12 <&3`;
  /** Each shows something of the host, to whoever can reach it: on the host it does. */
  const attacks = (): Record<string, { command: string; shows: string }> => {
    const { home, project, stateDir } = setup.home;
    const { canaries, server } = setup;
    return {
      "the user's home": { command: `cat '${home}/canary.txt'`, shows: canaries.home },
      "the project": { command: `cat '${project}/secret.txt'`, shows: canaries.project },
      "the environment of host processes": {
        command: "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep ATTACK_CANARY",
        shows: canaries.env,
      },
      "OpenCode's process": {
        command: `kill -0 ${server.pid} && echo alive-${server.pid}`,
        shows: `alive-${server.pid}`,
      },
      "OpenCode's files by its process": {
        command: `cat /proc/${server.pid}/root${home}/canary.txt /proc/${server.pid}/cwd/secret.txt`,
        shows: canaries.home,
      },
      "OpenCode's HTTP server": { command: ask(new URL(server.url).port), shows: "HTTP/1.1 200" },
      "OpenCode's HTTP server by name": { command: ask(new URL(server.url).port, "localhost"), shows: "HTTP/1.1 200" },
      "the model's server": { command: ask(setup.model.port), shows: "HTTP/1.1" },
      "a sibling's workspace": { command: `cat '${stateDir}'/local/sandboxes/*/workspace/secret`, shows: sibling },
      "any copy of a sibling's file": { command: "grep -rhs sibling- /workspace /tmp /home /run /var", shows: sibling },
      "our store": { command: `head -c 6 '${stateDir}/pool.db'`, shows: "SQLite" },
      "OpenCode's store and log": { command: `ls '${setup.home.dataDir}/log'`, shows: "opencode.log" },
      "a socket in a file": { command: `test -S '${home}/file.sock' && echo there`, shows: "there" },
      "an abstract socket": { command: `grep '@${home}' /proc/net/unix`, shows: `@${home}` },
    };
  };

  test("reaches nothing of what the same commands reach on the host", async () => {
    const all = Object.entries(attacks());
    for (const [name, { command, shows }] of all) {
      if (name.startsWith("any copy")) continue; // lies elsewhere on the host
      const { stdout } = await onHost("bash", ["-c", command]).catch((error) => error);
      expect(`${name}: ${stdout}`).toContain(shows);
    }
    const { parts } = await delegate(setup, [
      atOnce(...all.map(([, { command }]) => call("sandbox_exec", { command }))),
    ]);
    expect(parts).toHaveLength(all.length);
    for (const [index, [name, { shows }]] of all.entries()) {
      const output = outputOf(parts[index]);
      expect(`${name}: ${output}`).toMatch(/\[exit code [1-9]/);
      expect(`${name}: ${output}`).not.toContain(shows);
    }
  });

  test("kills no process of the host, and keeps its sandbox", async () => {
    const { parts } = await delegate(setup, [
      call("sandbox_exec", { command: `kill -9 ${setup.server.pid} ${process.pid} -${setup.server.pid}; echo tried` }),
      call("sandbox_exec", { command: "kill -9 -1" }),
      call("sandbox_exec", {
        command: "echo alive; tr '\\0' '\\n' </proc/1/environ | grep -c -e ATTACK -e OPENCODE -e XDG",
      }),
    ]);
    expect(outputOf(parts[0])).toContain("tried");
    expect(outputOf(parts[2])).toContain("alive\n0\n");
    expect(process.kill(setup.server.pid, 0)).toBe(true);
  });

  test("cannot leave the sandbox by links or paths given to its file tools", async () => {
    const canary = join(setup.home.home, "canary.txt");
    const up = `${"../".repeat(12)}${canary.slice(1)}`;
    const links = `ln -s ${canary} link; ln -s ${setup.home.home} dir; ln -s /etc/passwd pw; ln -s ${setup.home.home}/new dangling`;
    const paths = ["link", "dir/canary.txt", canary, up, `/proc/self/root${canary}`, `/proc/1/root${canary}`];
    const { parts } = await delegate(setup, [
      call("sandbox_exec", { command: links }),
      ...paths.map((path) => call("sandbox_read", { path })),
      ...["link", "dir/canary.txt", canary, up].map((path) =>
        call("sandbox_edit", { path, old_string: "canary", new_string: "owned" }),
      ),
      ...["link", "dir/canary.txt", canary, up, "dangling", "dir/new"].map((path) =>
        call("sandbox_write", { path, content: "owned" }),
      ),
      call("sandbox_read", { path: "pw" }),
    ]);
    const outputs = parts.map((part) => (part.state.status === "completed" ? part.state.output : "failed"));
    for (const output of outputs.slice(1, 11))
      expect(output).toMatch(/^(Error (file_not_found|file_failed|is_directory|not_found)|failed)/);
    const passwd = outputs.at(-1) as string;
    expect(passwd).toContain("agent:x:1000");
    const hostOnly = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((line) => line.startsWith("daemon:"));
    if (hostOnly) expect(passwd).not.toContain(hostOnly);
    expect(spawnSync("ls", ["-A", setup.home.home], { encoding: "utf8" }).stdout).not.toMatch(/^new$/m);
  });

  test("starts its commands in the sandbox, whatever workdir they name", async () => {
    const { parts } = await delegate(setup, [
      call("sandbox_exec", { command: "cat secret.txt", workdir: setup.home.project }),
      call("sandbox_exec", { command: "cat secret.txt", workdir: `../../../../..${setup.home.project}` }),
      call("sandbox_exec", { command: "cat canary.txt", workdir: `/proc/${setup.server.pid}/root${setup.home.home}` }),
    ]);
    for (const part of parts) expect(JSON.stringify(part.state)).toMatch(/Error |exit code [1-9]/);
  });

  test("cannot take a snapshot of the host or of another job", async () => {
    const { home, project } = setup.home;
    const other = await delegate(setup, [call("sandbox_exec", { command: "true" })]);
    const { parts } = await delegate(setup, [
      call("sandbox_exec", { command: `mkdir d; ln -s ${home} d/out; ln -s ${home} out` }),
      ...[project, "out", `../../../..${home}`, "/proc/1/root"].map((path) => call("sandbox_snapshot", { path })),
      call("sandbox_snapshot", { job: other.id }),
      call("sandbox_snapshot", { path: "d", label: "linked" }),
    ]);
    for (const part of parts.slice(1, 6)) expect(outputOf(part)).toMatch(/^Error (snapshot_failed|not_found)/);
    // A link within is kept as a link: nothing behind it is copied.
    expect(outputOf(parts[6])).toContain("is taken");
    const found = spawnSync("grep", ["-rl", setup.canaries.home, join(setup.home.stateDir, "local")], {
      encoding: "utf8",
    });
    expect(found.stdout).toBe("");
  });
});

import { describe, expect } from "bun:test";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import { makeReadsPatient } from "../../src/sandboxes/modal/patient-reads.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import { ALWAYS, DENIED, failsWith, modal, open, provider, specOf, UNAVAILABLE } from "./modal-faults-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

/** Longer than the SDK tries again by itself. */
const CUT_MS = 13_000;

describe("when a command meets a fault", () => {
  let sandbox: Sandbox;
  const begin = (...faults: Fault[]) => beginWithin({}, ...faults);
  const beginWithin = async (limits: Partial<ModalLimits>, ...faults: Fault[]) => {
    sandbox = await provider({ limits }).create(specOf());
    await modal().faults.add(...faults);
  };

  modalTest("a start that fails briefly is retried", async () => {
    await begin({ method: "TaskExecStart", code: UNAVAILABLE, times: 2 });
    expect(await sh(sandbox, "echo a; exit 3")).toEqual({ exit: exited(3), stdout: "a\n", stderr: "" });
  });

  modalTest("output that falls silent while its connection lives is read again from where it stands", async () => {
    for (const [afterItems, times] of [
      [0, 2],
      [1, 1],
      [3, 1],
    ] as const) {
      await begin({ method: "TaskExecStdioRead", afterItems, hang: true, times });
      makeReadsPatient(1_500);
      const text = await sh(sandbox, "echo a; sleep 2; echo b; sleep 2; echo c; echo err >&2; exit 3", {
        keepLog: true,
      });
      makeReadsPatient();
      expect(text).toEqual({ exit: exited(3), stdout: "a\nb\nc\n", stderr: "err\n" });
      expect(await modal().faults.left()).toEqual([]);
    }
  });

  modalTest("input whose writing fails briefly arrives once", async () => {
    await begin({ method: "TaskExecStdinWrite", code: UNAVAILABLE, times: 2 });
    expect((await sh(sandbox, "cat", { input: "once" })).stdout).toBe("once");
  });

  modalTest("input that cannot be written for a while is not blamed on the command", async () => {
    await begin({ method: "TaskExecStdinWrite", code: UNAVAILABLE, times: ALWAYS });
    const child = await sandbox.start({ argv: ["cat"] });
    const write = async () => await failsWith(child.write(Buffer.from("line\n")));
    expect((await write()).message).toMatch(/^The sandbox could not be reached when input was written \(/);
    await modal().faults.clear();
    expect((await write()).message).toMatch(/could not be reached .* can be given no more\.$/);
    await child.signal("SIGKILL");
    await child.exit;
    expect((await write()).message).toBe("The command has closed its input.");
  });

  for (const [title, fault] of [
    ["is never answered", { method: "TaskExecStart", hang: true, times: ALWAYS }],
    ["meets an outage", { method: "TaskExecStart", code: UNAVAILABLE, times: ALWAYS }],
    ["whose output never arrives", { method: "TaskExecStdioRead", hang: true, times: ALWAYS }],
  ] as const) {
    modalTest(`a start that ${title} is reported as an unreachable sandbox`, async () => {
      await beginWithin({ startMs: 1200 }, fault);
      expect(await failsWith(sandbox.start({ argv: ["true"] }))).toMatchObject({
        code: "sandbox_lost",
        retryable: true,
      });
    });
  }

  modalTest("a command whose output cannot be read is said to have run perhaps, and is killed", async () => {
    for (const fault of [{ hang: true }, { code: DENIED }]) {
      await beginWithin({ startMs: 1200 }, { method: "TaskExecStdioRead", times: ALWAYS, ...fault });
      const failure = await failsWith(sandbox.start({ argv: ["sh", "-c", "touch ran; exec sleep 1000"] }));
      expect(failure).toMatchObject({
        code: "sandbox_lost",
        message: expect.stringMatching(/could not be read \(.*\): the command may have run, and was killed\.$/),
      });
      await modal().faults.clear();
      const { stdout } = await sh(sandbox, "ls ran; sleep 1; pgrep -f 'sleep 100[0]' || echo none");
      expect(stdout).toBe("ran\nnone\n");
    }
  });

  modalTest("output whose stream breaks repeatedly arrives complete and in order", async () => {
    await begin({ method: "TaskExecStdioRead", code: UNAVAILABLE, afterItems: 1, times: 6 });
    const { stdout, exit } = await sh(sandbox, "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.02; done; exit 2");
    expect(stdout).toBe([1, 2, 3, 4, 5, 6, 7, 8].map((at) => `line ${at}\n`).join(""));
    expect(exit).toEqual(exited(2));
  });

  modalTest("an exit code that the server never returns is read from the output", async () => {
    await beginWithin(
      { exitMs: 800 },
      { method: "TaskExecWait", hang: true, times: ALWAYS },
      { method: "TaskExecPoll", hang: true, times: ALWAYS },
    );
    expect((await sh(sandbox, "exit 5")).exit).toEqual(exited(5));
  });

  modalTest("a sandbox that dies during a command makes the command's exit unknown, not 0 and not 137", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "echo before; sleep 100"] });
    const reader = child.output[Symbol.asyncIterator]();
    expect(Buffer.from((await reader.next()).value?.bytes ?? []).toString()).toBe("before\n");
    await modal().kill(sandbox.id);
    for (let next = await reader.next(); !next.done; next = await reader.next());
    expect((await child.exit).kind).toBe("unknown");
    expect(await sandbox.ended).toMatchObject({ code: "sandbox_lost" });
    expect(await failsWith(sandbox.start({ argv: ["true"] }))).toMatchObject({
      code: "sandbox_lost",
      retryable: false,
    });
  });

  modalTest("a command that the router cannot be asked about for a while is followed again, to its end", async () => {
    await beginWithin({ exitMs: 1_000 });
    const child = await sandbox.start({
      argv: ["sh", "-c", "echo before; until [ -e go ]; do sleep 0.1; done; echo after >&2; exit 4"],
    });
    const output = child.output[Symbol.asyncIterator]();
    const parts = [await output.next()];
    await modal().stopRouter();
    await modal().stopControl();
    await new Promise((resolve) => setTimeout(resolve, CUT_MS));
    await modal().startControl();
    await modal().startRouter();
    // gRPC increases the delay between its attempts to connect.
    const go = () => sandbox.writeFile("go", Buffer.from("")).then(() => true);
    await until(go, { what: "the command is told to go on" });
    for (let next = await output.next(); !next.done; next = await output.next()) parts.push(next);
    expect(parts.map(({ value }) => [value?.stream, Buffer.from(value?.bytes ?? []).toString()])).toEqual([
      ["stdout", "before\n"],
      ["stderr", "after\n"],
    ]);
    expect(await child.exit).toEqual(exited(4));
  });

  modalTest("a sandbox that ends while its router is away ends its command", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "echo before; sleep 100"] });
    await modal().stopRouter();
    await modal().kill(sandbox.id);
    for await (const _ of child.output);
    expect((await child.exit).kind).toBe("unknown");
    await modal().startRouter();
  });

  modalTest("a signal that cannot be delivered rejects, and a signal to a dead sandbox does not", async () => {
    await beginWithin({ execMs: 1200 });
    const child = await sandbox.start({ argv: ["sleep", "100"] });
    await modal().faults.add({ method: "TaskExecStart", hang: true, times: 1 });
    expect(await failsWith(child.signal("SIGTERM"))).toMatchObject({ code: "sandbox_lost", retryable: true });
    await modal().kill(sandbox.id);
    await child.signal("SIGKILL");
    expect((await child.exit).kind).toBe("unknown");
  });

  modalTest("a command whose end could not be learned can still be killed, as its sandbox lives on", async () => {
    const broken = { method: "TaskExecStdioRead", code: DENIED, afterItems: 1 } as const;
    await beginWithin({ exitMs: 500 }, broken, { method: "TaskExecWait", hang: true, times: 1 });
    const child = await sandbox.start({ argv: ["sleep", "100"], oneStream: true });
    for await (const _ of child.output);
    expect((await child.exit).kind).toBe("unknown");
    const running = async () => (await modal().sandboxes({ live: true })).flatMap((one) => one.running);
    const seen = (await running()).length;
    await modal().faults.clear();
    await child.signal("SIGKILL");
    await until(async () => (await running()).length < seen, { what: "it is killed" });
  });

  modalTest("SIGKILL settles the exit of a command that nobody reads", async () => {
    await begin();
    const child = await sandbox.start({ argv: ["sh", "-c", "yes | head -c 50000000; sleep 100"] });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await child.signal("SIGKILL");
    expect(await child.exit).toEqual({ kind: "signalled", signal: "SIGKILL" });
  });

  modalTest("a token that is revoked early is replaced: commands, files and snapshots go on", async () => {
    await begin();
    await modal().revokeRouterTokens();
    expect((await sh(sandbox, "echo a")).stdout).toBe("a\n");
    await modal().revokeRouterTokens();
    await sandbox.writeFile("b", Buffer.from("b"));
    await modal().revokeRouterTokens();
    expect(Buffer.from(await sandbox.readFile("b", { offset: 0, maxBytes: 9 })).toString()).toBe("b");
    await modal().revokeRouterTokens();
    expect((await open.at(-1)?.snapshots?.take(sandbox, null))?.id).toMatch(/^im-/);
    // Every one of several concurrent calls gets the new token.
    await modal().revokeRouterTokens();
    const all = await Promise.all(["1", "2", "3"].map((word) => sh(sandbox, `echo ${word}`)));
    expect(all.map(({ stdout }) => stdout)).toEqual(["1\n", "2\n", "3\n"]);
  });

  modalTest("a command that is too long for a command line is shipped as a file", async () => {
    await begin();
    for (const length of [50_000, 70_000, 110_000, 400_000]) {
      expect((await sh(sandbox, `: ${"x".repeat(length)}; printf "%s" "$0 $#"; exit 3`)).exit).toEqual(exited(3));
    }
    const words = Array.from({ length: 40_000 }, (_, at) => `w'${at}`);
    const child = await sandbox.start({ argv: ["sh", "-c", 'printf "%s" "$#"', "x", ...words] });
    let text = "";
    for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
    expect(text).toBe("40000");
    expect(await failsWith(sandbox.start({ argv: ["echo", "x".repeat(200_000)] }))).toMatchObject({
      code: "file_failed",
    });
  });
});

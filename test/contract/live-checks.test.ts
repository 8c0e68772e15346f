import { expect } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ALL_CHECKS } from "../live/all-checks.ts";
import { manyGpus } from "../live/checks/gpus.ts";
import { CEILING_USD, estimateOf } from "../live/estimate.ts";
import type { LiveCheck, Scale } from "../live/live-check.ts";
import { runChecks } from "../live/run-checks.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import { useModalServer } from "./modal-support.ts";

/* The checks of `npm run test:live` against the test server, with a small tree and short seconds: that their code works. */

const SECOND_MS = 40;
const server = useModalServer({
  secondMs: SECOND_MS,
  schedulingMs: 1000,
  registry: { "python:3.12-slim": { cmd: ["/bin/sh", "-c", "exit 0"] } },
});

/** Says what the real program would say on eight healthy GPUs. */
const TORCHRUN = "#!/bin/sh\\necho ALL_REDUCE world=8 sum=36 bus=400GB/s";
const SCALE: Scale = {
  treeMiB: 8,
  secondMs: SECOND_MS,
  creations: 5,
  torch: {
    dockerfile: [`RUN mkdir -p /opt/live && printf '${TORCHRUN}' > /opt/live/torchrun && chmod 755 /opt/live/torchrun`],
    torchrun: "/opt/live/torchrun",
  },
};
const EIGHT = manyGpus({ type: "H100", count: 8, exact: true });

async function run(checks: readonly LiveCheck[], signal = new AbortController().signal) {
  const printed: string[] = [];
  const result = await runChecks({
    credentials: { kind: "token", tokenId: "ak-test", tokenSecret: "as-test", source: "the test" },
    checks,
    scale: SCALE,
    signal,
    print: (text) => printed.push(text),
  });
  return { ...result, printed: printed.join("\n") };
}

async function expectNothingLeft() {
  expect(await server().sandboxes({ live: true })).toEqual([]);
  const snapshots = (await server().images()).filter(({ kind, deleted }) => kind === "filesystem" && !deleted);
  const lasting = snapshots.filter(({ expiresAt }) => expiresAt === null || expiresAt > Date.now());
  expect(lasting).toEqual([]);
}

modalTest("the checks find what the test server does, and leave nothing", async () => {
  const { rows, left, printed } = await run([...ALL_CHECKS, EIGHT]);
  const found = Object.fromEntries(rows.map(({ check, finding }) => [check.name, finding]));
  const names = [...ALL_CHECKS, EIGHT].map(({ name }) => name);
  expect(Object.keys(found)).toEqual(names);
  expect(rows.filter(({ finding }) => finding.verdict === "failed").map(({ finding }) => finding.found)).toEqual([]);
  const expected: [string, string, RegExp][] = [
    ["main process", "as assumed", /^ours lives .* a sandbox without a command has ended with 0; both were up after/],
    ["boot and snapshot of 8 GB", "as assumed", /^\d+ MiB in 2 files: written in .* s, snapshot in .* \(limit 300 s\)/],
    ["deleting a snapshot's parent", "as assumed", /^the child snapshot survives; a sandbox running .* goes on; a new one from it fails: .*Error/],
    ["expiry", "as assumed", /^75 s after a snapshot with 60 s to live: look-up: /],
    ["a queued sandbox in listings", "as assumed", /found the sandbox in the listing after .* and by its name after/],
    ["preemption", "as assumed", /a T4 that is terminated: code 137, exit snapshot after .* s, its files are there; .*lifetime is over: code 124/],
    ["rates", "not shown", /^of 5 creations at once 5 were accepted.* prices are not told/],
    ["volume reload", "as assumed", /after a reload \(accepted\) "one"/],
    ["domain rules", "not shown", /without rules 0 of 5 are reached/],
    ["H100!:8 together", "as assumed", /8 × NVIDIA H100 80GB HBM3; ALL_REDUCE world=8 sum=36/],
  ]; // biome-ignore format: a table
  for (const [name, verdict, text] of expected) {
    expect(found[name], name).toEqual({ verdict, found: expect.stringMatching(text) } as never);
  }
  expect(left).toEqual([]);
  await expectNothingLeft();
  for (const { check } of rows) for (const file of check.usedBy) expect(printed).toContain(file);
  expect(printed).toContain("All of it is removed.");
  expect(printed.split("\n").every((line) => line.length < 400)).toBe(true);
});

modalTest("a check that fails stops no other, and what it had created is removed", async () => {
  const [, , , expiry] = ALL_CHECKS;
  const broken: LiveCheck = {
    ...(expiry as LiveCheck),
    name: "broken",
    async run(live) {
      const [planned] = this.plan;
      if (planned === undefined) throw new Error("no plan");
      const sandbox = await live.create(planned.size, planned.lifetimeS, await live.image());
      await live.run(sandbox, "true");
      await live.snapshot(sandbox, null);
      await live.volume();
      await live.create(planned.size, planned.lifetimeS, await live.image());
      await live.create(planned.size, planned.lifetimeS, await live.image()); // one more than its plan
      return { verdict: "as assumed", found: "" };
    },
  };
  const { rows, left } = await run([broken, ALL_CHECKS[6] as LiveCheck]);
  expect(rows.map(({ finding }) => finding.verdict)).toEqual(["failed", "not shown"]);
  expect(rows[0]?.finding.found).toContain("its estimate would not hold");
  expect(left).toEqual([]);
  await expectNothingLeft();
});

modalTest("stopped in the middle, they remove what they had created and run no more", async () => {
  const stop = new AbortController();
  const running = run(ALL_CHECKS.slice(3), stop.signal);
  const timer = setInterval(async () => {
    const live = await server().sandboxes({ live: true });
    if (live.length > 0) stop.abort();
  }, 50);
  const { rows, left, printed } = await running;
  clearInterval(timer);
  expect(rows.every(({ finding }) => finding.verdict === "not run")).toBe(true);
  expect(left).toEqual([]);
  expect(printed).toContain("All of it is removed.");
  await expectNothingLeft();
});

modalTest(
  "the checks cost less than a dollar even if every sandbox lives to its end, and name files that exist",
  () => {
    const total = ALL_CHECKS.reduce((sum, check) => sum + estimateOf(check), 0);
    expect(total).toBeLessThan(CEILING_USD);
    expect(estimateOf(EIGHT)).toBeLessThan(3.5);
    const files = [...ALL_CHECKS, EIGHT].flatMap(({ usedBy }) => usedBy);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  },
);

modalTest("a creation under way when they are stopped is removed, as is a sandbox that waits for a GPU", async () => {
  await server().setGpus("T4", 0);
  for (const [check, method] of [
    [ALL_CHECKS[3], "SandboxCreateV2"],
    [ALL_CHECKS[4], "SandboxCreate"],
  ] as const) {
    const stop = new AbortController();
    await server().faults.add({ method, delayMs: 250 });
    const before = (await server().calls()).length;
    const running = run([check as LiveCheck], stop.signal);
    await until(async () => (await server().calls()).slice(before).some((call) => call.method === method), {
      what: `${method} is asked`,
    });
    stop.abort();
    expect((await running).left).toEqual([]);
    await expectNothingLeft();
  }
  await server().setGpus("T4", null);
});

modalTest("what cannot be removed is tried again, and named", async () => {
  await server().faults.add({ method: "ImageDelete", code: 13, times: 5 }); // the SDK tries four times itself
  const passing = await run([ALL_CHECKS[6] as LiveCheck]);
  expect(passing.left).toEqual([]);
  await server().faults.add({ method: "ImageDelete", code: 7, message: "you may not", times: 3 });
  const failing = await run([ALL_CHECKS[6] as LiveCheck]);
  expect(failing.left).toEqual([expect.stringMatching(/^image im-\w+ \(you may not\)$/)]);
  expect(failing.printed).toContain("Left: image im-");
});

modalTest("a check tells what it met: refusals for rate, and a sum over GPUs that is wrong", async () => {
  await server().faults.add({ method: "SandboxCreateV2", code: 8, message: "Sandbox creation rate limit", times: 2 });
  const { rows } = await run([ALL_CHECKS[6] as LiveCheck, manyGpus({ type: "H200", count: 2, exact: false })]);
  expect(rows.map(({ finding }) => finding)).toEqual([
    { verdict: "as assumed", found: expect.stringMatching(/5 creations at once 3 were accepted.*refused: ClientError 8: Sandbox creation rate limit/) },
    { verdict: "different", found: expect.stringMatching(/2 × NVIDIA H200; all-reduce ended with 0: ALL_REDUCE world=8 sum=36/) },
  ] as never); // biome-ignore format: short
  await expectNothingLeft();
});

/** Runs the program itself; `onOutput` sees all of its output so far. */
async function program(args: readonly string[], env: Record<string, string>, onOutput?: (child: ChildProcess) => void) {
  const main = fileURLToPath(new URL("../live/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes) => {
      output += String(bytes);
      if (output.includes("App parallel-agents-live")) onOutput?.(child);
    });
  const code = await new Promise((resolve) => child.on("close", resolve));
  return { code, output };
}

modalTest("the program prints what a check found and the table, and ends with 0 where all is as assumed", async () => {
  const args = ["--only", "8 GB", "--tree-mib", "8", "--second-ms", String(SECOND_MS)];
  const { code, output } = await program(args, { PATH: process.env.PATH ?? "", ...server().env });
  expect(output).toMatch(
    /^At most \$0\.\d\d at list prices.*as assumed, .* s: \d+ MiB in 2 files.*All of it is removed\.\n\ncheck /s,
  );
  expect(code).toBe(0);
});

modalTest("the program removes what it had created after ctrl+c, and says so", async () => {
  let asked = false;
  const { code, output } = await program(
    ["--only", "main"],
    { PATH: process.env.PATH ?? "", ...server().env },
    (child) => {
      if (asked) return;
      asked = true;
      setTimeout(() => child.kill("SIGINT"), 700);
    },
  );
  expect(output).toContain("SIGINT: stopping, and removing what was created");
  expect(output).toContain("All of it is removed.");
  expect(output).toMatch(/main process +not run/);
  expect(code).toBe(1);
  await expectNothingLeft();
});

modalTest(
  "without credentials the program creates nothing and says so; a wrong token and a wrong GPU are named",
  async () => {
    const nobody = { PATH: process.env.PATH ?? "", HOME: "/nonexistent" };
    const skipped = await program([], nobody);
    expect(skipped).toMatchObject({ code: 0, output: expect.stringContaining("Skipped; nothing was created.") });
    const { MODAL_TOKEN_SECRET: _, ...rest } = server().env;
    const wrong = await program([], { ...nobody, ...rest, MODAL_TOKEN_SECRET: "as-wrong" });
    expect(wrong).toMatchObject({
      code: 1,
      output: expect.stringContaining("could not begin: Token ID or secret is wrong"),
    });
    const tree = await program(["--tree-mib", "none"], { ...nobody, ...server().env });
    expect(tree).toMatchObject({
      code: 2,
      output: expect.stringContaining("--tree-mib must be a number above 0, not none"),
    });
    const nine = await program(["--gpus", "9"], { ...nobody, ...server().env });
    expect(nine).toMatchObject({ code: 2, output: expect.stringContaining("1 to 8 GPUs") });
  },
);

import type { Sandbox } from "modal";
import { type Live, type LiveCheck, messageFor, type Size, SMALL, seconds, WITH_T4 } from "../live-check.ts";

const LIFETIME_S = 300;
const SNAPSHOT_MS = 120_000;
const SHORT_S = 60;

export const preemption: LiveCheck = {
  name: "preemption",
  assumes:
    "a sandbox that ends without being asked to leaves an exit snapshot with its last files, and a code that is not 0",
  usedBy: ["src/sandboxes/modal/exit-snapshots.ts", "src/sandboxes/modal/sandbox-core.ts"],
  plan: [
    { size: WITH_T4, count: 1, lifetimeS: LIFETIME_S },
    { size: SMALL, count: 5, lifetimeS: LIFETIME_S },
  ],
  async run(live) {
    const image = await live.image();
    const lost = async (what: string, size: Size, lifetimeS: number, end: (sandbox: Sandbox) => Promise<unknown>) => {
      try {
        return `${what}: ${await afterLoss(live, await start(live, size, lifetimeS, image), end)}`;
      } catch (error) {
        return `${what}: ${messageFor(error)}`;
      }
    };
    // Nobody can ask Modal to preempt, so these are the ends that can be had.
    const found = await Promise.all([
      lost("a T4 that is terminated", WITH_T4, LIFETIME_S, (sandbox) => sandbox.terminate()),
      lost("a CPU sandbox that is terminated", SMALL, LIFETIME_S, (sandbox) => sandbox.terminate()),
      lost("one whose lifetime is over", SMALL, SHORT_S, () => live.wait(SHORT_S + 10)),
    ]);
    const kept = found.filter((each) => each.includes("its files are there"));
    return {
      verdict: kept.some((each) => each.startsWith("a T4")) ? "as assumed" : "different",
      found: `${found.join("; ")}. A real preemption cannot be provoked`,
    };
  },
};

async function start(
  live: Live,
  size: Size,
  lifetimeS: number,
  image: Parameters<Live["create"]>[2],
): Promise<Sandbox> {
  const sandbox = await live.create(size, lifetimeS, image, { experimentalOptions: { enable_exit_snapshot: true } });
  await live.run(sandbox, "echo last > /root/last");
  return sandbox;
}

async function afterLoss(live: Live, sandbox: Sandbox, end: (sandbox: Sandbox) => Promise<unknown>): Promise<string> {
  // Another handle, because terminating may close the first.
  const seen = await live.client.sandboxes.fromId(sandbox.sandboxId);
  await end(sandbox);
  const code = await codeOf(live, seen);
  const from = live.now();
  try {
    const image = await seen.experimentalGetExitSnapshot({ timeoutMs: SNAPSHOT_MS });
    live.keep(image);
    const took = seconds(live.now() - from);
    const again = await live.create(SMALL, LIFETIME_S, image);
    const { stdout } = await live.run(again, "cat /root/last");
    await again.terminate();
    return `code ${code}, exit snapshot after ${took}, ${stdout === "last\n" ? "its files are there" : "without its files"}`;
  } catch (error) {
    return `code ${code}, no exit snapshot (${messageFor(error)})`;
  } finally {
    seen.detach();
  }
}

async function codeOf(live: Live, sandbox: Sandbox): Promise<string> {
  for (let asked = 0; asked < 30; asked += 1) {
    const code = await sandbox.poll();
    if (code !== null) return String(code);
    await live.wait(1);
  }
  return "unknown after 30 s";
}

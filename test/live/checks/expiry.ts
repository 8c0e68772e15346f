import { failureOf, type LiveCheck, SMALL } from "../live-check.ts";

const LIFETIME_S = 600;
const TTL_S = 60;
const MARGIN_S = 15;

export const expiry: LiveCheck = {
  name: "expiry",
  assumes:
    "an expired snapshot shows when it is looked up, when a sandbox is created from it, or at that sandbox's first command",
  usedBy: [
    "src/sandboxes/modal/handles.ts",
    "src/sandboxes/modal/image-cache.ts",
    "src/sandboxes/modal/status-meaning.ts",
  ],
  plan: [{ size: SMALL, count: 2, lifetimeS: LIFETIME_S }],
  async run(live) {
    const source = await live.create(SMALL, LIFETIME_S, await live.image());
    await live.run(source, "echo here > /root/file");
    const snapshot = await live.snapshot(source, TTL_S);
    await source.terminate();
    await live.wait(TTL_S + MARGIN_S);
    const lookup = await failureOf(() => live.client.images.fromId(snapshot.imageId));
    let creation: string | null = null;
    let exec: string | null = null;
    creation = await failureOf(async () => {
      const sandbox = await live.create(SMALL, LIFETIME_S, snapshot);
      exec = await failureOf(async () => {
        const { code, stderr } = await live.run(sandbox, "cat /root/file");
        if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
      });
      await sandbox.terminate();
    });
    const shown = [
      `look-up: ${lookup ?? "works"}`,
      `creation: ${creation ?? "works"}`,
      ...(creation === null ? [`first command: ${exec ?? "works"}`] : []),
    ].join("; ");
    return {
      verdict: (lookup ?? creation ?? exec) ? "as assumed" : "not shown",
      found: `${TTL_S + MARGIN_S} s after a snapshot with ${TTL_S} s to live: ${shown}`,
    };
  },
};

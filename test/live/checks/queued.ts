import { failureOf, type LiveCheck, seconds, uniqueName, WITH_T4 } from "../live-check.ts";

const LIFETIME_S = 300;
const WATCH_S = 120;
const POLL_MS = 100;

export const queued: LiveCheck = {
  name: "a queued sandbox in listings",
  assumes:
    "a sandbox that still waits for a GPU is found by its name or its app's listing, so that one nobody waits for can be ended",
  usedBy: ["src/sandboxes/modal/orphans.ts", "src/sandboxes/modal/listing.ts", "src/sandboxes/modal/held-creation.ts"],
  plan: [{ size: WITH_T4, count: 1, lifetimeS: LIFETIME_S }],
  async run(live) {
    const image = await live.image();
    const name = uniqueName("queued");
    const from = live.now();
    let upMs: number | null = null;
    const creating = live.create(WITH_T4, LIFETIME_S, image, { name, tags: { live: name } }).finally(() => {
      upMs = live.now() - from;
    });
    creating.catch(() => {});
    let listedMs: number | null = null;
    let namedMs: number | null = null;
    let asked = 0;
    for (; upMs === null && live.now() - from < WATCH_S * live.scale.secondMs && !(listedMs && namedMs); asked += 1) {
      const [inListing, byName] = await Promise.all([
        live.provider.list().then((all) => all.some(({ tags }) => tags.live === name)),
        failureOf(() => live.client.sandboxes.fromName(live.app.name ?? "", name)),
      ]);
      if (upMs !== null) break; // the answers may be from after its start
      const now = live.now() - from;
      if (inListing) listedMs ??= now;
      if (byName === null) namedMs ??= now;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const sandbox = await creating;
    await sandbox.terminate();
    const seen = (ms: number | null, how: string) => `${how} ${ms === null ? "never" : `after ${seconds(ms)}`}`;
    return {
      verdict: listedMs !== null || namedMs !== null ? "as assumed" : asked > 3 ? "different" : "not shown",
      found: `a T4 was there after ${seconds(upMs ?? 0)}; while it waited, ${asked} questions found the sandbox ${seen(listedMs, "in the listing")} and ${seen(namedMs, "by its name")}`,
    };
  },
};

import { failureOf, type LiveCheck, SMALL } from "../live-check.ts";

const LIFETIME_S = 600;

export const deletedParent: LiveCheck = {
  name: "deleting a snapshot's parent",
  assumes: "nothing: no image is deleted while a snapshot or sandbox that derives from it is kept",
  usedBy: ["src/jobs/snapshots/remove-snapshot.ts", "src/sandboxes/modal/modal-snapshots.ts"],
  plan: [{ size: SMALL, count: 4, lifetimeS: LIFETIME_S }],
  async run(live) {
    const first = await live.create(SMALL, LIFETIME_S, await live.image());
    await live.run(first, "echo parent > /root/parent");
    const parent = await live.snapshot(first, 3600);
    const second = await live.create(SMALL, LIFETIME_S, parent);
    await live.run(second, "echo child > /root/child");
    const child = await live.snapshot(second, 3600);
    const deletion = await failureOf(() => live.client.images.delete(parent.imageId));
    const running = await live.run(second, "cat /root/parent /root/child").catch((error: Error) => error.message);
    let files = "";
    const failure = await failureOf(async () => {
      const third = await live.create(SMALL, LIFETIME_S, child);
      files = (await live.run(third, "cat /root/parent /root/child")).stdout;
      await third.terminate();
    });
    const parentGone = await failureOf(async () => {
      await live.run(await live.create(SMALL, LIFETIME_S, parent), "true");
    });
    await Promise.all([first.terminate(), second.terminate()]);
    const survives = failure === null && files === "parent\nchild\n";
    return {
      verdict: deletion === null ? "as assumed" : "not shown",
      found:
        deletion !== null
          ? `the parent could not be deleted: ${deletion}`
          : `the child snapshot ${survives ? "survives" : `does not survive (${failure ?? `its files are ${JSON.stringify(files)}`})`}; a sandbox running from the parent ${typeof running !== "string" && running.code === 0 ? "goes on" : "loses its files"}; a new one from it ${parentGone === null ? "still starts" : `fails: ${parentGone}`}`,
    };
  },
};

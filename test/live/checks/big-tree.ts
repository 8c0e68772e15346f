import { defaultOptions } from "../../../src/config/schema.ts";
import { LARGE, type LiveCheck, seconds } from "../live-check.ts";

const SOURCE_S = 45 * 60;
const FORK_S = 15 * 60;
const FILE_MIB = 4;

export const bigTree: LiveCheck = {
  name: "boot and snapshot of 8 GB",
  assumes: "modal.snapshotTimeoutSeconds and modal.createTimeoutSeconds, by default, are enough for a tree of 8 GB",
  usedBy: ["src/config/schema.ts", "src/sandboxes/modal/limits.ts", "src/sandboxes/modal/modal-snapshots.ts"],
  plan: [
    { size: LARGE, count: 1, lifetimeS: SOURCE_S },
    { size: LARGE, count: 2, lifetimeS: FORK_S },
  ],
  async run(live) {
    const { snapshotTimeoutSeconds, createTimeoutSeconds } = defaultOptions("/").modal;
    const files = Math.max(1, Math.floor(live.scale.treeMiB / FILE_MIB));
    const image = await live.image();
    const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
      const from = live.now();
      const result = await work();
      return [result, live.now() - from];
    };
    const [source, emptyMs] = await timed(async () => {
      const sandbox = await live.create(LARGE, SOURCE_S, image);
      await live.run(sandbox, "true");
      return sandbox;
    });
    const write = `mkdir -p /root/tree && cd /root/tree && i=0 && while [ $i -lt ${files} ]; do
      dd if=/dev/urandom of=f$i bs=1048576 count=${FILE_MIB} 2>/dev/null || exit 1; i=$((i + 1)); done; du -sm . | cut -f1`;
    const [written, writeMs] = await timed(() => live.run(source, write, 15 * 60));
    if (written.code !== 0) throw new Error(`the tree could not be written: ${written.stderr}`);
    const [snapshot, snapshotMs] = await timed(() => live.snapshot(source, 3600));
    const boots: number[] = [];
    for (const last of [`/root/tree/f${files - 1}`, "/root/tree/f0"]) {
      const [fork, bootMs] = await timed(async () => {
        const sandbox = await live.create(LARGE, FORK_S, snapshot);
        const read = await live.run(sandbox, `wc -c < ${last}`);
        if (Number(read.stdout) !== FILE_MIB * 1024 * 1024) throw new Error(`${last} is not in the fork`);
        return sandbox;
      });
      boots.push(bootMs);
      await fork.terminate();
    }
    await source.terminate();
    const enough = snapshotMs < snapshotTimeoutSeconds * 1000 && Math.max(...boots) < createTimeoutSeconds * 1000;
    return {
      verdict: enough ? "as assumed" : "different",
      found: `${written.stdout.trim()} MiB in ${files} files: written in ${seconds(writeMs)}, snapshot in ${seconds(snapshotMs)} (limit ${snapshotTimeoutSeconds} s), first file read in a fork after ${boots.map(seconds).join(" and ")} (limit ${createTimeoutSeconds} s); an empty sandbox took ${seconds(emptyMs)}`,
    };
  },
};

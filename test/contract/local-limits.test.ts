import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalLimits } from "../../src/sandboxes/local/local-limits.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { isRoot, runAlsoAsOrdinaryUser, who } from "../support/as-ordinary-user.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
const MiB = 1024 * 1024;
const FILES = (count: number) => `seq ${count} | xargs touch`;

/** Runs `body` with a provider that has these limits. */
async function within(
  limits: Partial<LocalLimits>,
  body: (provider: SandboxProvider, rootDir: string) => Promise<void>,
  rootDir = newRoot(),
): Promise<void> {
  const provider = localProvider(rootDir, { limits });
  try {
    await body(provider, rootDir);
  } finally {
    for (const { id } of await provider.list()) await provider.terminate(id);
    await provider.close();
    // A snapshot's files belong to the job and may have any mode.
    spawnSync("rm", ["-rf", ...["snapshots", "sandboxes"].map((part) => join(rootDir, part))]);
  }
  expect(await leftOf(rootDir)).toEqual([]);
  rmSync(rootDir, { recursive: true, force: true });
}

describe.skipIf(why !== null)(`limits of local sandboxes, as ${who}${why ? ` (skipped: ${why})` : ""}`, () => {
  test("a sandbox full of empty files is ended with the number and the limit named, and its sibling lives", () =>
    within({ files: 3_000 }, async (provider) => {
      const [filler, sibling] = [await provider.create(localSpec()), await provider.create(localSpec())];
      await sh(filler, FILES(20_000));
      expect(await filler.ended).toMatchObject({
        code: "sandbox_lost",
        retryable: false,
        message: expect.stringMatching(/it made \d{4,5} files \(inodes\), more than its limit of 3000/),
      });
      expect((await sh(sibling, "echo alive")).stdout).toBe("alive\n");
    }));

  test("when memory runs out, the kernel ends commands before anything of the user's", () =>
    within({}, async (provider) => {
      const sandbox = await provider.create(localSpec());
      expect((await sh(sandbox, "cat /proc/self/oom_score_adj; sh -c 'cat /proc/self/oom_score_adj'")).stdout).toBe(
        "500\n500\n",
      );
    }));

  test("deleted files count while they are open, and no longer", () =>
    within({ diskMiB: 64, files: 3_000 }, async (provider) => {
      const [holder, sibling] = [await provider.create(localSpec()), await provider.create(localSpec())];
      await sh(sibling, "exec 5>f; rm f; head -c 60000000 /dev/zero >&5; exec 5>&-; head -c 40000000 /dev/zero > g");
      const hold =
        "for n in 1 2 3; do (exec 5>f$n; rm f$n; head -c 60000000 /dev/zero >&5; exec sleep 60) & done; wait";
      await sh(holder, hold);
      expect(await holder.ended).toMatchObject({
        code: "sandbox_lost",
        message: expect.stringMatching(/it used \d+ MiB of disk, more than its limit of 64 MiB/),
      });
      expect((await sh(sibling, "echo alive")).stdout).toBe("alive\n");
    }));

  test("a job's snapshots have a quota in bytes and in files, which the refusal names", () =>
    within({ diskMiB: 64, files: 1_000 }, async (provider, rootDir) => {
      const sandbox = await provider.create(localSpec());
      await sh(sandbox, "head -c 40000000 /dev/urandom > model");
      const take = (count: number, bytes: number, files: number, path: string | null = null) =>
        provider.snapshots?.take(sandbox, path, { count, bytes, files });
      const fits = await take(2, 80 * MiB, 20);
      expect(fits?.sizeBytes).toBeGreaterThan(38 * MiB);
      await expect(take(3, 100 * MiB, 20)).rejects.toMatchObject({
        code: "snapshot_failed",
        retryable: false,
        message: expect.stringMatching(
          /this job's snapshots \(3\) take 100 MiB and 20 files, this one would take 39 MiB and \d+ files more, and the snapshots of one job may take 128 MiB and 2000 files together. Remove /,
        ),
      });
      await expect(take(3, 0, 1_999)).rejects.toMatchObject({ code: "snapshot_failed" });
      // Snapshots that the job did not ask for are never refused because of its own snapshots.
      expect(await provider.snapshots?.take(sandbox, null, null)).toMatchObject({ leftOut: [] });
      expect(readdirSync(join(rootDir, "snapshots")).length).toBe(2);
    }));

  test("processes are limited, without counting a sibling's, or the job is told that they are not", () =>
    within({ processes: 40 }, async (provider) => {
      const [sandbox, sibling] = [await provider.create(localSpec()), await provider.create(localSpec())];
      // A shell exits when it cannot start another process.
      const argv = ["sh", "-c", "for n in $(seq 100); do sleep 60 & done"];
      for (const one of [sandbox, sibling]) await (await one.start({ argv })).exit;
      const { stdout } = spawnSync("ps", ["-eo", "args="], { encoding: "utf8" });
      const count = stdout.split("\n").filter((line) => line === "sleep 60").length;
      const isTold = sandbox.notes.some((note) => note.startsWith("The number of processes is not limited"));
      expect(count).toBeGreaterThan(isTold ? 150 : 41); // more than the limit of one sandbox
      if (!isTold) expect(count).toBeLessThan(80);
      expect(sandbox.processes?.limit).toBe(40);
      // Only a cgroup counts them.
      const refusals = sandbox.processes?.refusals() ?? null;
      expect(refusals === null || refusals > 0).toBe(true);
      if (isRoot() && !isTold) expect(refusals).not.toBeNull();
    }));

  test("a job that uses up its file watches leaves those of the user's other programs and of its siblings", () =>
    within({}, async (provider) => {
      const [greedy, sibling] = [await provider.create(localSpec()), await provider.create(localSpec())];
      const inotify = process.arch === "arm64" ? 26 : 294;
      const all = Number(readFileSync("/proc/sys/fs/inotify/max_user_instances", "utf8"));
      const take = (most: number) =>
        `perl -e '$| = 1; $n = 0; $n++ while $n < ${most} && syscall(${inotify}, 0) >= 0; print "$n\n"; sleep 60'`;
      const taken = async (sandbox: Sandbox) => {
        const process_ = await sandbox.start({ argv: ["sh", "-c", take(all)] });
        for await (const { bytes } of process_.output) return Number(Buffer.from(bytes).toString());
        throw new Error("it said nothing");
      };
      const first = await taken(greedy);
      expect(first).toBeGreaterThanOrEqual(4);
      expect(first).toBeLessThanOrEqual(Math.max(4, all / 16));
      expect(await taken(sibling)).toBe(first);
      expect(greedy.notes.filter((note) => note.includes("watch"))).toEqual([]);
      watch(tmpdir()).close(); // this process belongs to the same user
    }));

  test("programs see how much memory their sandbox has, and cannot change it", () =>
    within({}, async (provider) => {
      const sandbox = await provider.create(localSpec({ memoryMiB: 256 }));
      const files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes";
      const { stdout } = await sh(
        sandbox,
        `cat ${files} 2>/dev/null; node -p 'process.constrainedMemory()'; for f in ${files} /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/cgroup.procs; do (echo 1 > $f) 2>/dev/null && echo WRITTEN; chmod 777 $f 2>/dev/null && echo CHANGED; done`,
      );
      const isTold = sandbox.notes.some((note) => note.startsWith("Memory is not limited in all"));
      const limit = String(256 * MiB);
      if (isTold) return expect(stdout).not.toContain(limit);
      expect(stdout.split("\n").slice(0, 2)).toEqual([limit, limit]);
      expect(stdout).not.toMatch(/WRITTEN|CHANGED/);
    }));

  test("memory used by files is limited, or the job is told that it is not", () =>
    within({}, async (provider) => {
      const sandbox = await provider.create(localSpec({ memoryMiB: 128 }));
      const memfd = process.arch === "arm64" ? 279 : 319;
      const hold = `perl -e '$name = "held"; $fd = syscall(${memfd}, $name, 0); $fd >= 0 or die; open(F, ">&=", $fd) or die; binmode F;
          for (1..900) { print F "x" x 1048576 or die } close F or die; print "HELD"'`;
      const inShm = "head -c 943718400 /dev/zero > /dev/shm/held && printf HELD";
      expect((await sh(sandbox, inShm)).stdout).toBe("");
      await sh(sandbox, "rm -f /dev/shm/held");
      const { stdout } = await sh(sandbox, hold);
      const isTold = sandbox.notes.some((note) => note.startsWith("Memory is not limited in all"));
      expect(isTold).toBe(stdout === "HELD");
      expect([sandbox.memory?.limitMiB, (sandbox.memory?.kills() ?? 0) > 0]).toEqual([128, !isTold]);
      expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n");
    }));
});

/** Runs a test with a small disk of its own. */
function withDisk(options: string, body: (rootDir: string) => Promise<void>): Promise<void> {
  const rootDir = newRoot();
  spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", rootDir]);
  return body(join(rootDir, "state")).finally(() => {
    spawnSync("umount", ["-l", rootDir]);
    rmSync(rootDir, { recursive: true, force: true });
  });
}

const canMount = isRoot() && spawnSync("unshare", ["-m", "true"]).status === 0;

describe.skipIf(why !== null || !canMount)(
  `on a small disk of its own${canMount ? "" : " (skipped: this user may not mount one)"}`,
  () => {
    test("a sandbox that uses up the inodes is ended before the machine runs out, whatever its own limit", () =>
      withDisk("size=256m,nr_inodes=4000", (rootDir) =>
        within(
          { files: 1_000_000, hostFreeMiB: 8 },
          async (provider) => {
            const [filler, sibling] = [await provider.create(localSpec()), await provider.create(localSpec())];
            await sh(filler, FILES(20_000));
            expect(await filler.ended).toMatchObject({
              message: expect.stringMatching(/nearly no inodes left and it was the largest sandbox \(\d{4} files\)/),
            });
            await filler.terminate(); // as its job does: the files of a sandbox that filled the disk are not kept
            expect((await sh(sibling, "touch new && echo alive")).stdout).toBe("alive\n");
          },
          rootDir,
        ),
      ));

    test("a snapshot that would use the machine's last bytes or inodes is refused before it starts", () =>
      withDisk("size=64m,nr_inodes=1000", (rootDir) =>
        within(
          { diskMiB: 60, files: 900, hostFreeMiB: 8 },
          async (provider) => {
            const sandbox = await provider.create(localSpec());
            await sh(sandbox, "head -c 40000000 /dev/zero > model");
            await expect(provider.snapshots?.take(sandbox, null, null)).rejects.toMatchObject({
              code: "snapshot_failed",
              retryable: true,
              message: expect.stringMatching(
                /it needs 39 MiB and \d+ files on the machine's disk, where only 2\d MiB are free/,
              ),
            });
            await sh(sandbox, `rm model; ${FILES(600)}`);
            await expect(provider.snapshots?.take(sandbox, null, null)).rejects.toMatchObject({
              message: expect.stringMatching(/where only \d+ more files \(inodes\) fit/),
            });
            expect(readdirSync(join(rootDir, "snapshots"))).toEqual([]);
            expect((await sh(sandbox, "ls | wc -l")).stdout).toBe("600\n");
          },
          rootDir,
        ),
      ));
  },
);

if (why === null) runAlsoAsOrdinaryUser(import.meta.path);

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { alignedPause } from "../../../../src/sandboxes/local/aligned-pause.ts";
import { explainFailure } from "../../../../src/sandboxes/local/bubblewrap/bubblewrap-backend.ts";
import { refuseWorkdir } from "../../../../src/sandboxes/local/bubblewrap/bwrap-args.ts";
import { startFirstWorking } from "../../../../src/sandboxes/local/bubblewrap/network.ts";
import { isSandboxID, isSnapshotID, sandboxDirs, snapshotDir } from "../../../../src/sandboxes/local/layout.ts";
import { seatbeltProfile } from "../../../../src/sandboxes/local/seatbelt/seatbelt-profile.ts";
import { commandScript } from "../../../../src/sandboxes/local/shell-script.ts";

describe("ids", () => {
  test("become a path only if they match their pattern", () => {
    for (const id of [
      "",
      "..",
      "sbx_",
      "sbx_../x",
      "sbx_a/b",
      "/sbx_a",
      "sbx_a\n",
      "snap_a",
      `sbx_${"a".repeat(65)}`,
    ]) {
      expect(isSandboxID(id)).toBe(false);
      expect(() => sandboxDirs("/root", id)).toThrow();
    }
    expect(isSandboxID("sbx_A-b_9")).toBe(true);
    expect(isSnapshotID("sbx_a")).toBe(false);
    expect(() => snapshotDir("/root", "snap_..")).toThrow();
  });
});

describe("a workdir", () => {
  test("is refused where it overlaps with the sandbox's own paths", () => {
    for (const workdir of [
      "/",
      "/usr",
      "/usr/x",
      "/etc/x",
      "/tmp",
      "/home",
      "/home/agent/x",
      "/proc/1",
      "/a/../usr",
      "/a//b",
      "relative",
      "",
      "/var",
      "/lib64",
    ])
      expect(refuseWorkdir(workdir)).not.toBeNull();
    for (const workdir of ["/workspace", "/srv/app", "/root", "/work space"]) expect(refuseWorkdir(workdir)).toBeNull();
  });
});

describe("the command script", () => {
  test("leaves out names that a shell cannot set, so that they cannot become commands", () => {
    const script = commandScript({
      argv: ["true"],
      workdir: "/",
      env: { "A;id": "x", "": "y", UID: "0", GOOD: "1" },
      tty: false,
    });
    expect(script).toContain("export GOOD='1'");
    expect(script).not.toContain("id=");
    expect(script).not.toContain("UID");
  });
});

describe("network helpers", () => {
  test("are tried in order until one works, and every reason is given when none does", async () => {
    const tried: string[] = [];
    const start = (works: string) => async (name: string) => {
      tried.push(name);
      if (name !== works) throw new Error(`${name} did not come up`);
      return name;
    };
    expect(await startFirstWorking(["a", "b", "c"], start("b"))).toBe("b");
    expect(tried).toEqual(["a", "b"]);
    await expect(startFirstWorking(["a", "b"], start("z"))).rejects.toThrow("a did not come up; b did not come up");
    tried.length = 0;
    await expect(startFirstWorking(["a", "b"], start("b"), () => true)).rejects.toThrow("a did not come up");
    expect(tried).toEqual(["a"]);
  });
});

describe("the Seatbelt profile", () => {
  const dirs = { root: "/s/r", workspace: "/s/r/workspace", home: "/s/r/home", tmp: "/s/r/tmp", logs: "/s/r/logs" };

  test("denies writing outside the sandbox, reading home and state, and the host's loopback", () => {
    const profile = seatbeltProfile(dirs, "/Users/me", "/Users/me/state", ["/Users/me/.bun/bin"], "open");
    expect(profile.indexOf("(deny file-write*)")).toBeLessThan(
      profile.indexOf('(allow file-write* (subpath "/s/r/workspace")'),
    );
    expect(profile.indexOf('(subpath "/Users/me")')).toBeLessThan(profile.indexOf('(subpath "/Users/me/.bun/bin")'));
    expect(profile).not.toMatch(/allow file-write\*[^\n]*logs/);
    expect(profile).toContain('(deny network-outbound (remote ip "localhost:*"))');
    expect(seatbeltProfile(dirs, "/h", "/s", [], "blocked")).toContain("(deny network*)");
  });

  test("quotes paths, so that a file name cannot add a rule", () => {
    expect(seatbeltProfile({ ...dirs, tmp: '/x") (allow default) ("' }, "/h", "/s", [], "open")).toContain(
      '(subpath "/x\\") (allow default) (\\"")',
    );
  });
});

describe("pauses between looks at a command", () => {
  const times = fc.record({
    now: fc.integer({ min: 0, max: 2 ** 45 }),
    pause: fc.double({ min: 1, max: 2_000, noNaN: true }),
  });

  test("are never shorter than asked for, less than twice as long, and end together", () => {
    fc.assert(
      fc.property(times, fc.nat(200), ({ now, pause }, later) => {
        const aligned = alignedPause(now, pause);
        expect(aligned).toBeGreaterThanOrEqual(pause);
        expect(aligned).toBeLessThan(2 * pause);
        if (pause < 8) return;
        const other = now + later + alignedPause(now + later, pause);
        expect((other - now - aligned) % 2 ** Math.floor(Math.log2(pause))).toBe(0);
      }),
    );
  });
});

test("no remedy for user namespaces is given where a disk is full", () => {
  const asked = (message: string) => /user.max_user_namespaces/.test(explainFailure(message));
  expect(
    [
      "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)",
      "bwrap: Creating new namespace failed: No space left on device",
      "no temporary file could be made (/dev/shm: ENOSPC: no space left on device, write)",
      "bwrap: Can't write data to file /run/.first: No space left on device",
    ].map(asked),
  ).toEqual([true, true, false, false]);
});

import { describe, expect, test } from "bun:test";
import { explainFailure } from "../../../../src/sandboxes/local/bubblewrap/bubblewrap-backend.ts";
import { hasMountsChanged, toShortage } from "../../../../src/sandboxes/local/shortage.ts";

describe("a sandbox that could not be isolated", () => {
  test.each([
    ["EMFILE: too many open files, posix_spawn '/bin/sh'", /too many files open \(it may have \d+\).*ulimit -n/],
    ["ENFILE: file table overflow, open '/dev/null'", /too many files open/],
    ["EAGAIN: resource temporarily unavailable, posix_spawn", /no process or memory left.*ulimit -u/],
    ["bwrap: Creating new namespace failed: Resource temporarily unavailable", /no process or memory left/],
    ["bwrap: Can't fork: Cannot allocate memory", /no process or memory left/],
    [
      'bwrap: Unable to apply mount flags: remount "/newroot/usr/x": Invalid argument',
      /mounts of this machine changed/,
    ],
  ])("for a reason that passes may be made again: %s", (said, told) => {
    const shortage = toShortage(new Error(said));
    expect(shortage).toMatchObject({ code: "sandbox_create_failed", retryable: true });
    expect(shortage?.message).toMatch(told);
  });

  test("for any other reason may not", () => {
    for (const said of ["bwrap: setting up uid map: Permission denied", "bwrap: Can't mount proc: Invalid argument"]) {
      expect(toShortage(new Error(said))).toBeNull();
      expect(hasMountsChanged(said)).toBe(false);
    }
  });

  test("is told in sentences with one full stop each", () => {
    expect(explainFailure("its set-up failed.")).toBe("bubblewrap could not isolate a sandbox: its set-up failed.");
    expect(explainFailure("its set-up failed")).toBe("bubblewrap could not isolate a sandbox: its set-up failed.");
  });
});

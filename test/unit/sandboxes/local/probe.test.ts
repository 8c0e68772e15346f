import { describe, expect, test } from "bun:test";
import type { IsolationKind } from "../../../../src/sandboxes/local/isolation.ts";
import { kindsToTry, requireIsolation } from "../../../../src/sandboxes/local/probe.ts";

describe("the isolation of local sandboxes", () => {
  test("is bubblewrap or nothing unless the option names another one", () => {
    expect(kindsToTry("auto")).toEqual(["bubblewrap"]);
    for (const kind of ["bubblewrap", "seatbelt", "none"] as const) expect(kindsToTry(kind)).toEqual([kind]);
  });

  const messageOn = (platform: NodeJS.Platform, kind: IsolationKind, why: string) => {
    try {
      requireIsolation({ works: null, refused: [{ kind, why }] }, platform);
    } catch (error) {
      return error as Error & { code: string; retryable: boolean };
    }
    throw new Error("it was not refused");
  };

  test("that cannot be had is refused with what was tried", () => {
    expect(messageOn("linux", "bubblewrap", "bwrap not installed")).toMatchObject({
      code: "isolation_unavailable",
      retryable: false,
      message: "No sandbox can be isolated on this machine. Tried bubblewrap: bwrap not installed.",
    });
  });

  test("on a Mac is refused with the two ways out, unless Seatbelt was named", () => {
    const { code, message } = messageOn("darwin", "bubblewrap", "bubblewrap needs Linux");
    expect(code).toBe("isolation_unavailable");
    expect(message).toMatch(/modal setup.*local\.isolation to "seatbelt"/);
    expect(messageOn("darwin", "seatbelt", "it broke").message).not.toContain("local.isolation");
  });

  test("that could not be tried for want of open files is no fault of the machine", () => {
    const refused = messageOn("linux", "bubblewrap", "EMFILE: too many open files, pipe");
    expect(refused).toMatchObject({ code: "sandbox_create_failed", retryable: true });
    expect(refused.message).toContain("ulimit -n");
  });
});

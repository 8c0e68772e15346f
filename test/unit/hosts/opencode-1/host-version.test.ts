import { describe, expect, test } from "bun:test";
import { supportOf } from "../../../../src/core/host-version.ts";
import { createHostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { createHostVersion } from "../../../../src/hosts/opencode-1/host-version.ts";
import type { Toast } from "../../../../src/hosts/shared/toasts.ts";

test.each([
  ["1.18.0", "tested"],
  ["1.18.33", "tested"],
  ["1.19.6", "untested"],
  ["1.17.13", "unsupported"],
  ["0.15.0", "unsupported"],
  ["2.3.2", "unsupported"],
  ["local", "untested"],
  ["0.0.0-dev-202611", "untested"],
])("OpenCode %s is %s", (version, kind) => {
  const support = supportOf(version);
  expect(support.kind).toBe(kind as never);
  if (support.kind !== "tested") expect(support.message).toContain(`OpenCode ${version}`);
});

/** @param version null for an OpenCode that does not say it */
function open(version: string | null) {
  const toasts: Toast[] = [];
  const logged: string[] = [];
  const health = async () =>
    version === null ? { error: { name: "NotFound" } } : { data: { healthy: true, version } };
  const host = createHostVersion(
    { global: { health } } as never,
    async (toast) => void toasts.push(toast),
    (level, message) => void logged.push(`${level}: ${message}`),
  );
  return { host, toasts, logged };
}

describe("the version of OpenCode", () => {
  test("that is not supported starts no job, and the user is told once", async () => {
    const { host, toasts, logged } = open("1.17.13");
    const refusal = {
      code: "session_create_failed",
      message: expect.stringContaining("Install OpenCode 1.18.33"),
      retryable: false,
    };
    await expect(host.requireSupported()).rejects.toMatchObject(refusal);
    host.report();
    host.report();
    await Bun.sleep(0);
    expect(toasts).toMatchObject([
      { variant: "error", message: expect.stringContaining("OpenCode 1.17.13 is not supported") },
    ]);
    expect(logged).toHaveLength(1);
  });

  test("that is newer than the tested ones is only logged, and one that is unknown stops nothing", async () => {
    for (const version of ["1.19.0", null]) {
      const { host, toasts, logged } = open(version);
      await host.requireSupported();
      host.report();
      await Bun.sleep(0);
      expect([toasts, logged.length]).toEqual([[], 1]);
    }
  });
});

test("an OpenCode without a usable client is named in words", () => {
  for (const input of [{}, { client: {} }])
    expect(() => createHostClient(input as never)).toThrow("needs OpenCode 1.18 or a later 1.x");
});

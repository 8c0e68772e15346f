import { expect, test } from "bun:test";
import { defaultOptions } from "../../../src/config/schema.ts";
import { isZone, withTimeZone } from "../../../src/config/time-zone.ts";
import { toSandboxEnv } from "../../../src/sandboxes/environment.ts";

const environment = defaultOptions("/state").environments.default as never;

test("a sandbox has the machine's time zone, unless its environment names another one", () => {
  const of = (hostEnv: Record<string, string | undefined>, env = {}) =>
    toSandboxEnv({ ...(environment as object), env } as never, hostEnv).TZ;
  expect(of({ TZ: "Europe/Berlin" })).toBe("Europe/Berlin");
  expect(of({ TZ: "Europe/Berlin" }, { TZ: "UTC" })).toBe("UTC");
  expect(of({})).toBeUndefined();
  expect(of({ TZ: ":/etc/localtime" })).toBeUndefined();
});

test("the zone comes from TZ, else from the system, and is a zone's name", () => {
  expect(withTimeZone({ TZ: "Asia/Tokyo", HOME: "/h" })).toEqual({ TZ: "Asia/Tokyo", HOME: "/h" });
  const ofSystem = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const TZ of [undefined, "", "/etc/shadow", "Mars/Olympus", "$(id)"])
    expect(withTimeZone({ TZ }).TZ).toBe(isZone(ofSystem) ? ofSystem : undefined);
  for (const zone of ["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]) expect(isZone(zone)).toBe(true);
  for (const zone of ["../etc/passwd", "/usr", "a b", ""]) expect(isZone(zone)).toBe(false);
});

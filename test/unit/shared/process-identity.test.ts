import { expect, test } from "bun:test";
import { hasEnded, isNotAlive, toProcessName } from "../../../src/shared/process-identity.ts";

/** Above the largest process id there can be. */
const NOBODY = 999_999_999;

test.skipIf(process.platform !== "linux")("a process has ended, lives, or cannot be judged from here", () => {
  const name = toProcessName("owner_1");
  const [pid = "", id, place = "", start = ""] = name.split(":");
  expect([pid, id, place !== "", start !== ""]).toEqual([String(process.pid), "owner_1", true, true]);
  const cases: [name: string, ended: boolean | null, notAlive: boolean][] = [
    [name, false, false],
    [`${pid}:x:${place}:${Number(start) - 1}`, true, true], // the id was given to another process
    [`${NOBODY}:x:${place}:5`, true, true],
    [`${NOBODY}:x:4026539999-other:5`, null, false],
    [`${NOBODY}:x::`, null, false],
    [`${NOBODY}:x`, null, true], // an earlier version is judged by its process id alone
    [`${pid}:x`, null, false],
    ["", null, false],
  ];
  for (const [given, ended, notAlive] of cases)
    expect([given, hasEnded(given), given === "" ? false : isNotAlive(given)]).toEqual([given, ended, notAlive]);
});

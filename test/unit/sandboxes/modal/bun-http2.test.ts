import { expect, test } from "bun:test";
import { AFFECTED_BUN } from "../../../../src/sandboxes/modal/bun-http2.ts";

test("the HTTP/2 workaround is for Bun 1.3 only", () => {
  expect(["1.3.0", "1.3.14"].every((version) => AFFECTED_BUN.test(version))).toBe(true);
  expect(["1.2.23", "1.4.0", "1.30.1", "11.3.0", "2.1.3"].some((version) => AFFECTED_BUN.test(version))).toBe(false);
});

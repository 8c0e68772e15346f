import { expect, test } from "bun:test";
import fc from "fast-check";
import { type AskedFor, decideAccess } from "../../../src/dashboard/server/access.ts";
import { propertyRuns } from "../../support/property-runs.ts";

const RULE = { port: 4321, token: "Tok3n" };
const ASKED = { target: "/events?token=Tok3n", host: "127.0.0.1:4321", origin: undefined, authorization: undefined };

const decide = (change: Partial<AskedFor>) => {
  const access = decideAccess({ ...ASKED, ...change }, RULE);
  return access.kind === "allowed" ? 200 : access.status;
};

test("lets in whoever has the token, by a header or in the address", () => {
  expect(decide({})).toBe(200);
  expect(decide({ target: "/events", authorization: "Bearer Tok3n" })).toBe(200);
  expect(decide({ host: "localhost:4321", origin: "http://localhost:4321" })).toBe(200);
});

test("refuses a missing or a wrong token, and a wrong header even beside the right token in the address", () => {
  expect(decide({ target: "/" })).toBe(401);
  expect(decide({ target: "/?token=" })).toBe(401);
  expect(decide({ target: "/?token=tok3n" })).toBe(401);
  expect(decide({ target: "/?token=Tok3n0" })).toBe(401);
  expect(decide({ target: "/?TOKEN=Tok3n" })).toBe(401);
  expect(decide({ target: "/?token=no&token=Tok3n" })).toBe(401);
  expect(decide({ authorization: "Bearer no" })).toBe(401);
  expect(decide({ authorization: "Tok3n" })).toBe(401);
});

test("refuses every other host and origin, whatever token comes with them", () => {
  for (const host of [
    undefined,
    "",
    "evil.example",
    "evil.example:4321",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1:43210",
  ])
    expect({ host, status: decide({ host }) }).toEqual({ host, status: 403 });
  for (const origin of [
    "null",
    "",
    "http://evil.example",
    "https://127.0.0.1:4321",
    "http://127.0.0.1:4322",
    "file://",
  ])
    expect({ origin, status: decide({ origin }) }).toEqual({ origin, status: 403 });
  expect(decide({ host: "localhost:4321", origin: "http://127.0.0.1:4321" })).toBe(403);
});

test("no text lets anyone in that has not the token as a whole", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (target, authorization) => {
      fc.pre(!target.includes(RULE.token) && !authorization.includes(RULE.token));
      expect(decide({ target, authorization: undefined })).toBe(401);
      expect(decide({ target, authorization })).toBe(401);
    }),
    { numRuns: propertyRuns(300) },
  );
});

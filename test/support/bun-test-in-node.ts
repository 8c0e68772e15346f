import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test as nodeTest } from "node:test";
import { isDeepStrictEqual } from "node:util";

/*
 * As much of `bun:test` as suites use that run under Node too, over Node's own runner. What it does not know it lacks, so
 * that a suite which asks for it fails.
 */

type Body = () => unknown;

const run = (title: string, body: Body, timeout?: number) =>
  nodeTest(title, timeout === undefined ? {} : { timeout }, async () => void (await body()));
const skip = (title: string, _body: Body, _timeout?: number) => nodeTest(title, { skip: true });

export const test = Object.assign(run, { skip, skipIf: (condition: boolean) => (condition ? skip : run) });
export const beforeAll = (body: Body, timeout?: number) => before(async () => void (await body()), { timeout });
export const afterAll = (body: Body, timeout?: number) => after(async () => void (await body()), { timeout });
export { afterEach, beforeEach, describe };

/** Bytes are bytes, of whatever class they are. */
const plain = (value: unknown): unknown => (value instanceof Uint8Array ? [...value] : value);

function matches(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return Object.is(found, wanted);
  if (typeof found !== "object" || found === null) return false;
  return Object.entries(wanted).every(([key, value]) => matches((found as Record<string, unknown>)[key], value));
}

const matchersOf = (found: unknown) => ({
  toBe: (wanted: unknown) => assert.ok(Object.is(found, wanted), `${show(found)} is not ${show(wanted)}`),
  toBeNull: () => assert.equal(found, null),
  toEqual: (wanted: unknown) =>
    assert.ok(isDeepStrictEqual(plain(found), plain(wanted)), `${show(found)} does not equal ${show(wanted)}`),
  toMatchObject: (wanted: object) => assert.ok(matches(found, wanted), `${show(found)} does not match ${show(wanted)}`),
  toMatch: (wanted: RegExp) => assert.match(found as string, wanted),
  toContain: (wanted: string) => assert.ok((found as string).includes(wanted), `${show(found)} lacks ${show(wanted)}`),
  toBeLessThan: (wanted: number) => assert.ok((found as number) < wanted, `${found} is not less than ${wanted}`),
});

export const expect = (found: unknown) => ({
  ...matchersOf(found),
  not: {
    toBe: (wanted: unknown) => assert.ok(!Object.is(found, wanted), `it is ${show(wanted)}`),
    toBeNull: () => assert.notEqual(found, null),
  },
  rejects: {
    async toMatchObject(wanted: object): Promise<void> {
      const error = await (found as Promise<unknown>).then(
        (value) => assert.fail(`it resolved with ${show(value)}`),
        (thrown: unknown) => thrown,
      );
      matchersOf(error).toMatchObject(wanted);
    },
  },
});

const show = (value: unknown): string =>
  value instanceof Error ? String(value) : (JSON.stringify(value)?.slice(0, 300) ?? String(value));

import { expect, test } from "bun:test";
import fc from "fast-check";
import { isObject } from "../../../src/config/layers.ts";
import { optionsSchema } from "../../../src/config/schema.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { fileError, loadWith, optionsOf, trusting } from "./load-with.ts";

const key = fc.oneof(
  fc.constantFrom(
    ...Object.keys(optionsSchema.shape),
    "env",
    "network",
    "image",
    "default",
    "__proto__",
    "",
    "toString",
  ),
  fc.string(),
);
const { junk } = fc.letrec<{ junk: unknown }>((tie) => ({
  junk: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined), fc.bigInt()),
    fc.array(tie("junk"), { maxLength: 3 }),
    fc.dictionary(key, tie("junk"), { maxKeys: 4 }),
  ),
}));

test("loading never throws, whatever the options are, and names what it refuses", async () => {
  const file = fc.oneof(
    fc.string(),
    fc.json(),
    junk.map((value) => JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? 1 : inner)) ?? ""),
    fc.constant(fileError("EIO")),
  );
  await fc.assert(
    fc.asyncProperty(junk, file, file, async (tuple, user, project) => {
      const loaded = await loadWith({ tuple, user, project });
      if (loaded.kind === "ok") return expect(loaded.options.environments.default).toBeDefined();
      expect(loaded.problems.length).toBeGreaterThan(0);
      for (const { key: name, source, found, allowed, message } of loaded.problems) {
        for (const part of [name, source, found, allowed]) expect(part.length).toBeGreaterThan(0);
        expect(message).toContain(name);
      }
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("options that throw when read, or are nested without end, are refused", async () => {
  const endless: Record<string, unknown> = {};
  endless.local = endless;
  const hostile = Object.defineProperty({}, "provider", { enumerable: true, get: () => Promise.reject.call(null) });
  for (const tuple of [endless, hostile, { environments: endless }]) {
    expect((await loadWith({ tuple })).kind).toBe("invalid");
  }
});

test("each option has the value of the last source that sets it, or its default", async () => {
  const given = fc.record(
    {
      maxRunningJobs: fc.integer({ min: 1, max: 99 }),
      parkAfterSeconds: fc.integer({ min: 0, max: 99 }),
      local: fc.record({ isolation: fc.constantFrom("auto", "bubblewrap", "none") }, { requiredKeys: [] }),
      environments: fc.dictionary(
        fc.constantFrom("default", "a", "b"),
        fc.record(
          {
            workdir: fc.constantFrom("/x", "/y"),
            network: fc.constantFrom("open", "blocked"),
            hostEnv: fc.array(fc.constantFrom("A", "B")),
            env: fc.dictionary(fc.constantFrom("A", "B"), fc.string({ unit: "grapheme-ascii" })),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(given, given, given, async (user, project, tuple) => {
      const options = await optionsOf({ ...trusting(project, user), tuple });
      const defaults = await optionsOf({});
      const set = new Map([user, project, tuple].flatMap((layer) => leaves(layer, [])));
      for (const [path, value] of set) expect(at(options, path)).toEqual(value);
      for (const [path, value] of leaves(defaults, [])) if (!set.has(path)) expect(at(options, path)).toEqual(value);
    }),
  );
});

const leaves = (value: unknown, path: readonly string[]): [string, unknown][] =>
  isObject(value)
    ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]))
    : [[path.join("\n"), value]];

const at = (value: unknown, path: string): unknown =>
  path.split("\n").reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);

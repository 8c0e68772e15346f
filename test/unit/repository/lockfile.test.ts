import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Packages = Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;

/** Optional dependencies that the lock file names but does not hold; `npm ci` refuses such a lock file. */
const missing = (packages: Packages): string[] =>
  Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
    ),
  );

test("the lock file holds the packages of every platform, not only those of the one it was written on", () => {
  const text = readFileSync(join(import.meta.dirname, "../../../package-lock.json"), "utf8");
  expect(missing(JSON.parse(text).packages)).toEqual([]);
});

test("the check finds a platform that the lock file lacks", () => {
  const tool = { optionalDependencies: { "tool-linux": "1.0.0", "tool-darwin": "1.0.0" } };
  expect(missing({ "node_modules/tool": tool, "node_modules/tool-linux": {} })).toEqual(["tool-darwin"]);
});

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { TreeTools } from "../../src/sandboxes/local/isolation.ts";
import { plainTrees } from "../../src/sandboxes/local/plain-trees.ts";
import { probeIsolation } from "../../src/sandboxes/local/probe.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { isRoot, runAlsoAsOrdinaryUser, who } from "../support/as-ordinary-user.ts";
import { propertyRuns } from "../support/property-runs.ts";
import { asRoot, describeTree } from "./hostile-tree.ts";
import { newID, newRoot } from "./local-support.ts";

const root = newRoot();
const probe = await probeIsolation({ rootDir: root, isolation: "bubblewrap", clock, log: () => {}, ids: newID });

/** Names that trip up shells, patterns and tools, and ordinary names that collide. */
const name = fc.oneof(
  fc.constantFrom("a", "b", "-rf", "--", " ", "*", "new\nline", "@in 0 0", "'q'", '"', "\\", "$(id)", "\x1b[2J", "ünï"),
  fc
    .string({ unit: "binary-ascii", minLength: 1, maxLength: 8 })
    .filter((one) => !/[/\0]/.test(one) && !/^\.{1,2}$/.test(one)),
);
const mode = fc.oneof(
  fc.constantFrom(0, 0o111, 0o222, 0o333, 0o444, 0o555, 0o700, 0o1777, 0o2755, 0o4755),
  fc.nat(0o7777),
);
const part = fc.record({
  kind: fc.constantFrom("folder", "folder", "file", "file", "link", "name", "pipe", "holes"),
  /** Index of the folder it lies in, and of the file it is a hard link to, among those made so far. */
  where: fc.nat(),
  of: fc.nat(),
  name,
  mode,
  time: fc.integer({ min: 1, max: 2_000_000_000 }),
});

/** A shell script that makes the tree. Modes are set last, the innermost first. */
function script(parts: readonly (typeof part extends fc.Arbitrary<infer P> ? P : never)[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const folders = ["."];
  const files: string[] = [];
  const taken = new Set<string>();
  const make: string[] = [];
  const finish: string[] = [];
  for (const { kind, where, of, name, mode, time } of parts) {
    const path = `${folders[where % folders.length]}/${name}`;
    if (taken.has(path)) continue;
    taken.add(path);
    const to = files[of % Math.max(files.length, 1)];
    const word = quote(path);
    if (kind === "folder") folders.push(path);
    if (kind === "file" || kind === "holes") files.push(path);
    if (kind === "folder") make.push(`mkdir ${word}`);
    else if (kind === "link") make.push(`ln -s -- ${quote(name)} ${word}`);
    else if (kind === "pipe") make.push(`mkfifo ${word}`);
    else if (kind === "holes") make.push(`truncate -s 3G ${word}; printf x >> ${word}`);
    else if (kind === "name" && to !== undefined) make.push(`ln ${quote(to)} ${word}`);
    else make.push(`printf %s ${word} > ${word}`);
    const isLink = kind === "link";
    if (!isLink) finish.push(`chmod ${mode.toString(8)} ${word}`);
    finish.push(`touch ${isLink ? "-h " : ""}-d @${time} ${word}`);
  }
  // Set before the modes of the folders above, which may forbid it.
  return ["set -e", ...make, ...finish.reverse()].join("\n");
}

afterAll(() => {
  asRoot(["rm", "-rf", root]);
});

const tools: readonly [string, TreeTools | null, (path: string) => string[]][] = [
  ["with isolation", probe.works?.trees ?? null, describeTree],
  ["without isolation", plainTrees, describeTree],
];

/** Reading a tree whose modes exclude its own user needs a user namespace, which not every machine allows. */
const canDescribe = asRoot(["true"]).status === 0;

describe.skipIf(!canDescribe)(`copies of trees, as ${who}`, () => {
  for (const [how, trees, describeIt] of tools) {
    test.skipIf(trees === null || (probe.works === null && how === "with isolation"))(
      `${how} are identical or name what they lack, and can be measured and removed`,
      async () => {
        let complete = 0;
        await fc.assert(
          fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 25 }), async (parts) => {
            const [from, to] = [join(root, newID()), join(root, newID())];
            for (const folder of [from, to]) mkdirSync(folder);
            const made = asRoot(["sh", "-c", script(parts)], {
              cwd: from,
              env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
            });
            expect([String(made.stderr), made.status]).toEqual(["", 0]);
            const before = describeIt(from);
            const result = await (trees as TreeTools).copy([{ from, to }]);
            expect(describeIt(from)).toEqual(before);
            if (how === "with isolation" || isRoot()) expect(result.leftOutCount).toBe(0);
            if (result.leftOutCount === 0) {
              complete += 1;
              expect(describeIt(to)).toEqual(before);
              const [copy, gone, original] = await (trees as TreeTools).measure([to, `${from}-gone`, from]);
              expect([copy === null, copy?.files, gone]).toEqual([false, original?.files, null]);
            }
            await (trees as TreeTools).remove([from]);
            await (trees as TreeTools).remove([to]);
            expect([existsSync(from), existsSync(to)]).toEqual([false, false]);
          }),
          // An ordinary user may leave something out of every random tree, and nothing of this one.
          {
            numRuns: propertyRuns(8),
            examples: [[[{ kind: "file", where: 0, of: 0, name: "plain", mode: 0o644, time: 1 }]]],
          },
        );
        expect(complete).toBeGreaterThan(0);
      },
    );
  }
});

if (canDescribe) runAlsoAsOrdinaryUser(import.meta.path);

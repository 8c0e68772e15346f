import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { changedThere, type FilePlan, planMirror, planReturn } from "../../../../src/workspace/exchange/file-plan.ts";
import { ancestorsOf, type FileTree, pairCopy, type TreeEntry } from "../../../../src/workspace/exchange/file-trees.ts";

/** Content by path; null = a folder. A link's content begins with "->". */
type Files = ReadonlyMap<string, string | null>;

const toTree = (files: Files): FileTree =>
  new Map(
    [...files].map(([path, content]): [string, TreeEntry] => {
      if (content === null) return [path, { kind: "folder", mode: "755", bytes: 0, mark: "" }];
      const kind = content.startsWith("->") ? "link" : "file";
      return [path, { kind, mode: "644", bytes: content.length, mark: content }];
    }),
  );

const pairOf = (base: Files) => pairCopy(toTree(base), toTree(base));

/** What the shell script of a plan does, as far as it matters. */
function apply(plan: FilePlan, to: Files, from: Files): Files {
  const result = new Map(to);
  for (const path of plan.remove) result.delete(path);
  for (const path of plan.removeFolders)
    if (![...result.keys()].some((other) => other.startsWith(`${path}/`))) result.delete(path);
  for (const { path } of plan.folders) {
    if (result.get(path) !== null && result.has(path)) throw new Error(`a file is where the folder ${path} is to be`);
    result.set(path, null);
  }
  const moves = [...plan.put.map((path) => ({ path, as: path })), ...plan.beside];
  for (const { path, as } of moves) {
    const content = from.get(path);
    if (content === undefined || content === null) throw new Error(`${path} was not sent`);
    if (result.get(as) === null) throw new Error(`${as} is a folder`);
    result.set(as, content);
  }
  for (const path of result.keys())
    for (const folder of ancestorsOf(path))
      if (result.get(folder) !== null || !result.has(folder))
        throw new Error(`${folder} is no folder, but has ${path}`);
  return result;
}

const returned = (base: Files, here: Files, there: Files): { plan: FilePlan; result: Files } => {
  const plan = planReturn(pairOf(base), toTree(here), toTree(there));
  return { plan, result: apply(plan, here, there) };
};

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const content = fc.oneof(fc.constantFrom("1", "2", "->x"), fc.string({ maxLength: 2 }));
const change = fc.record({ path, content: fc.option(content), isRemoval: fc.boolean() });

/** Makes or removes entries, like a command. */
function changed(
  files: Files,
  changes: readonly { path: string; content: string | null; isRemoval: boolean }[],
): Files {
  const result = new Map(files);
  const removeAll = (at: string) => {
    for (const other of [...result.keys()]) if (other === at || other.startsWith(`${at}/`)) result.delete(other);
  };
  for (const { path: at, content: text, isRemoval } of changes) {
    if (isRemoval) {
      removeAll(at);
      continue;
    }
    for (const folder of ancestorsOf(at)) {
      if (result.has(folder) && result.get(folder) !== null) removeAll(folder);
      result.set(folder, null);
    }
    if (text !== null || result.get(at) !== null) removeAll(at);
    result.set(at, text);
  }
  return result;
}

const some = fc.array(change, { maxLength: 8 });

describe("what a command has changed", () => {
  test("comes back exactly where the job has changed nothing", () => {
    fc.assert(
      fc.property(some, some, (made, done) => {
        const base = changed(new Map(), made);
        const there = changed(base, done);
        expect(new Map([...returned(base, base, there).result].sort())).toEqual(new Map([...there].sort()));
      }),
    );
  });

  test("never replaces or removes what the job has changed meanwhile, and is nowhere lost", () => {
    fc.assert(
      fc.property(some, some, some, (made, own, done) => {
        const base = changed(new Map(), made);
        const [here, there] = [changed(base, own), changed(base, done)];
        const { plan, result } = returned(base, here, there);
        for (const [at, text] of here)
          if (text !== null && text !== base.get(at)) expect([at, result.get(at)]).toEqual([at, text]);
        for (const at of base.keys())
          if (!here.has(at) && base.get(at) !== null && there.get(at) === base.get(at))
            expect(result.has(at)).toBeFalse();
        const names = new Map(plan.beside.map(({ path: at, as }) => [at, as]));
        for (const at of changedThere(pairOf(base), toTree(there)))
          expect(result.get(names.get(at) ?? at)).toEqual(there.get(at) as string);
        // A name beside is new on both sides.
        for (const as of names.values()) expect(here.has(as) || there.has(as)).toBeFalse();
      }),
    );
  });

  test("follows no link that the job has put where a folder was", () => {
    const base: Files = new Map([["out", null]]);
    const here: Files = new Map([["out", "->/etc"]]);
    const there: Files = new Map([["out", null], ["out/passwd", "1"]]); // biome-ignore format: one line
    const { plan } = returned(base, here, there);
    expect([plan.put, plan.beside]).toEqual([[], [{ path: "out/passwd", as: "out.from-gpu/passwd" }]]);
  });

  test("stays named when it was removed there and changed here", () => {
    const base: Files = new Map([["log", "1"]]);
    expect(returned(base, new Map([["log", "2"]]), new Map()).plan).toMatchObject({ kept: ["log"], remove: [] });
  });

  test("leaves what was not sent as it is here", () => {
    const there = toTree(new Map([["model.pt", "large"]]));
    expect(planReturn(pairOf(new Map()), new Map(), there, new Set(["model.pt"])).put).toEqual([]);
  });
});

describe("the sandbox with the GPU", () => {
  test("has exactly the job's files before the next command, whatever either side has changed", () => {
    fc.assert(
      fc.property(some, some, some, (made, own, done) => {
        const base = changed(new Map(), made);
        const [here, there] = [changed(base, own), changed(base, done)];
        const plan = planMirror(pairOf(base), toTree(here), toTree(there));
        expect(new Map([...apply(plan, there, here)].sort())).toEqual(new Map([...here].sort()));
      }),
    );
  });

  test("is sent nothing that it has", () => {
    fc.assert(
      fc.property(some, (made) => {
        const base = changed(new Map(), made);
        const plan = planMirror(pairOf(base), toTree(base), toTree(base));
        expect([plan.put, plan.remove, plan.removeFolders, plan.folders]).toEqual([[], [], [], []]);
      }),
    );
  });

  test("keeps a file that was too large to come back, until the job makes one of that name", () => {
    const known = pairOf(new Map());
    const there = toTree(new Map([["run", null], ["run/model.pt", "large"]])); // biome-ignore format: one line
    const left = new Set(["run/model.pt"]);
    expect(planMirror(known, new Map(), there, left)).toMatchObject({ remove: [], removeFolders: [] });
    const own = toTree(new Map([["run", null], ["run/model.pt", "mine"]])); // biome-ignore format: one line
    expect(planMirror(known, own, there, left).put).toEqual(["run/model.pt"]);
  });
});

import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OldFiles } from "../../../../src/jobs/project/old-files.ts";
import { bringToBase, toWarmTree } from "../../../../src/jobs/project/warm-trees.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../../../src/shared/clock.ts";
import { captureTree } from "../../../../src/workspace/project/capture-tree.ts";
import { localProvider, localSpec, whyNoIsolation } from "../../../contract/local-support.ts";
import { modalProvider, useModalServer } from "../../../contract/modal-support.ts";
import { runIn, send, storeAt } from "../../../contract/workspace-support.ts";
import { canIsolate } from "../../../support/modal-server/machine.ts";

/* What may be read in a sandbox while the newest files of its project are on their way to it. */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const BYTES = 3_000_000;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

interface Place {
  readonly name: string;
  readonly provide: (folder: string) => SandboxProvider;
  readonly spec: () => SandboxSpec;
}

async function open({ provide, spec }: Place) {
  const folder = mkdtempSync(join(tmpdir(), "old-files-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, "project");
  mkdirSync(join(root, "lib"), { recursive: true });
  const write = (path: string, content: string) => writeFileSync(join(root, path), content);
  write("large.txt", "a".repeat(BYTES));
  write("kept.txt", "kept");
  write("gone.txt", "gone");
  write("lib/kept.ts", "kept");
  write("lib/changed.ts", "before");
  write("*.txt", "kept as well");
  symlinkSync("lib/kept.ts", join(root, "link.ts"));
  const store = await storeAt(root, join(folder, "state"), { HOME: folder, PATH: process.env.PATH ?? "" });
  const provider = provide(folder);
  closing.push(() => provider.close());
  const sandbox = await provider.create(spec());
  closing.push(() => sandbox.terminate());
  const before = await captureTree(store, "before");
  const form = await send(store, before, sandbox);
  await runIn(
    sandbox,
    `cd ${sandbox.workdir} && mkdir made && ln -s ../lib/changed.ts made/link.ts && echo x > made/x`,
  );
  const prepared = {
    key: "k",
    place: "p",
    commit: before.commit,
    form,
    snapshotID: "s",
    createdAt: 0,
    expiresAt: null,
  };
  const tree = toWarmTree(before, prepared, []);
  return {
    sandbox,
    write,
    remove: (path: string) => rmSync(join(root, path)),
    /**
     * Brings the sandbox to the project as it is now.
     * @param meanwhile is given the old files as soon as they may be read; nothing is sent before it has resolved
     */
    async update(meanwhile: (files: OldFiles) => Promise<void>): Promise<boolean> {
      const base = await captureTree(store, "after");
      let ready = Promise.resolve();
      const slow: Sandbox = new Proxy(sandbox, {
        get(_, key) {
          const value = Reflect.get(sandbox, key, sandbox);
          if (key !== "writeFile") return typeof value === "function" ? value.bind(sandbox) : value;
          return async (path: string, content: Uint8Array) => {
            await ready;
            await sandbox.writeFile(path, content);
          };
        },
      });
      return bringToBase({ store, base, sandbox: slow, clock, scratchID: "send" }, tree, (files) => {
        ready = meanwhile(files);
      });
    },
  };
}

const read = (path: string) => async (sandbox: Sandbox) =>
  text(await sandbox.readFile(path, { offset: 0, maxBytes: BYTES + 1 }));

function oldFiles(place: Place): void {
  const { name } = place;
  test(`of ${name} are whole, and which of them stay is known`, async () => {
    const { write, remove, update, sandbox } = await open(place);
    write("large.txt", "b".repeat(BYTES));
    write("lib/changed.ts", "after");
    write("new.txt", "new");
    remove("gone.txt");
    const seen: Record<string, unknown> = {};
    const contents: string[] = [];
    let reading: Promise<unknown> = Promise.resolve();
    let last: OldFiles | null = null;
    const isUpToDate = await update(async (files) => {
      last = files;
      for (const path of ["kept.txt", "lib/kept.ts", "lib/changed.ts", "gone.txt"])
        seen[path] = [await files.read(read(path)), await files.stays(path)];
      // What git does not know at a path may be a link, and so may what it knows to be one; a name is no pattern.
      for (const path of [
        "link.ts",
        "made/link.ts",
        "made/x",
        "lib",
        ".",
        "new.txt",
        "made/../kept.txt",
        "/etc/passwd",
      ])
        seen[path] = await files.stays(path);
      seen["*.txt"] = [await files.stays("*.txt"), await files.stays(`${sandbox.workdir}/kept.txt`)];
      reading = (async () => {
        for (let one = await files.read(read("large.txt")); one; one = await files.read(read("large.txt")))
          contents.push(one);
      })();
    });
    await reading;
    expect(isUpToDate).toBe(true);
    expect(seen).toEqual({
      "kept.txt": ["kept", true],
      "lib/kept.ts": ["kept", true],
      "lib/changed.ts": ["before", false],
      "gone.txt": ["gone", false],
      "link.ts": false,
      "made/link.ts": false,
      "made/x": false,
      lib: false,
      ".": false,
      "new.txt": false,
      "made/../kept.txt": false,
      "/etc/passwd": false,
      "*.txt": [true, true],
    });
    expect(contents.filter((content) => content !== "a".repeat(BYTES))).toEqual([]);
    expect(await (last as OldFiles | null)?.read(read("kept.txt"))).toBeNull();
    const after = "cat lib/changed.ts new.txt made/link.ts; head -c 1 large.txt; git status --short; [ ! -e gone.txt ]";
    expect(text(await runIn(sandbox, `cd ${sandbox.workdir}; ${after}`))).toBe("afternewafterb?? made/\n");
  }, 60_000);

  test(`of ${name} that are being changed while they are read are not given, and hold up nobody`, async () => {
    const { write, update } = await open(place);
    write("lib/changed.ts", "after");
    const { promise: updated, resolve } = Promise.withResolvers<void>();
    let reading: Promise<unknown> = Promise.resolve("nobody reads");
    expect(
      await update(async (files) => {
        reading = files.read(async (sandbox) => {
          const before = await read("lib/changed.ts")(sandbox);
          await updated; // as where the path leads to something that never answers
          return before;
        });
      }),
    ).toBe(true);
    resolve();
    expect(await reading).toBeNull();
  }, 60_000);

  test(`of ${name} are not given where nothing has changed`, async () => {
    const { update } = await open(place);
    let given = 0;
    expect(await update(async () => void given++)).toBe(true);
    expect(given).toBe(0);
  }, 60_000);
}

const why = await whyNoIsolation();
if (why !== null) test.skip(`old files of local sandboxes were not tested: ${why}`, () => {});
else oldFiles({ name: "a local sandbox", provide: (folder) => localProvider(join(folder, "local")), spec: localSpec });

if (!canIsolate()) test.skip("old files of Modal's sandboxes were not tested: this machine cannot play them", () => {});
else {
  useModalServer();
  oldFiles({ name: "Modal's sandbox", provide: () => modalProvider(), spec: localSpec });
}

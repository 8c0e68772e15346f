import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";

/*
 * A state directory in which a link to one of the user's folders replaces a file or folder that the provider makes, reads,
 * shows to a job or removes. Whatever is then asked of the provider, the user's folder is unchanged and no job sees it.
 */

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

let rootDir: string;
let outside: string;
let sandbox: string;
let snapshot: string;

const why = await whyNoIsolation();
const kinds = [...(why === null ? (["bubblewrap"] as const) : []), "none" as const];
if (why !== null) test.skip(`bubblewrap was left out: ${why}`, () => {});

const listing = (folder: string): unknown =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => [path, lstatSync(join(folder, path)).mode, lstatSync(join(folder, path)).size]);

/** Replaces `path` with a link to the user's folder, and moves what was there into it, so that it looks right through the link. */
function swap(path: string): void {
  const real = join(outside, "taken");
  if (existsSync(path)) renameSync(path, real);
  else mkdirSync(real);
  writeFileSync(join(lstatSync(real).isDirectory() ? real : outside, "precious"), "precious");
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(real, path);
}

/** Makes every call of a provider. It may refuse any of them. */
async function askAll(provider: SandboxProvider): Promise<string[]> {
  const seen: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      seen.push(JSON.stringify(await work()) ?? "");
    } catch (error) {
      seen.push(String(error));
    }
  };
  await attempt(() => provider.list());
  await attempt(async () => {
    const attached = await provider.attach(sandbox, {});
    const child = await attached.start({ argv: ["sh", "-c", "find . ~ -name precious; touch touched"] });
    const said: Uint8Array[] = [];
    for await (const { bytes } of child.output) said.push(bytes);
    return Buffer.concat(said).toString();
  });
  await attempt(async () => (await provider.create(localSpec({ snapshotID: snapshot }))).terminate());
  await attempt(async () => provider.snapshots?.orphans());
  await attempt(async () => provider.snapshots?.remove(snapshot));
  await attempt(() => provider.terminate(sandbox));
  await attempt(() => provider.list());
  await provider.close();
  return seen;
}

const IN_SANDBOX = ["", "workspace", "logs", "meta.json", "etc"];
const PLACES: Record<string, () => string> = {
  "the root": () => rootDir,
  "the folder of sandboxes": () => join(rootDir, "sandboxes"),
  "the folder of snapshots": () => join(rootDir, "snapshots"),
  "a sandbox that a dead process had half made": () => join(rootDir, "sandboxes/.sbx_gone.999999999.half"),
  "a snapshot that a dead process had half made": () => join(rootDir, "snapshots/.snap_gone.999999999.half"),
  ...Object.fromEntries(
    IN_SANDBOX.flatMap((part) => [
      [`${part || "all"} of a sandbox`, () => join(rootDir, "sandboxes", sandbox, part)],
      [`${part || "all"} of a snapshot`, () => join(rootDir, "snapshots", snapshot, part)],
    ]),
  ),
};

for (const isolation of kinds) {
  describe(`with isolation ${isolation}`, () => {
    beforeEach(async () => {
      const root = newRoot();
      roots.push(root);
      rootDir = join(root, "local");
      outside = join(root, "outside");
      mkdirSync(outside);
      const provider = localProvider(rootDir, { isolation });
      const made = await provider.create(localSpec());
      sandbox = made.id;
      snapshot = (await provider.snapshots?.take(made, null))?.id ?? "";
      await provider.close();
    });

    for (const [what, place] of Object.entries(PLACES)) {
      test(`a link that replaces ${what} is not followed`, async () => {
        swap(place());
        const before = listing(outside);
        const seen = await askAll(localProvider(rootDir, { isolation }));
        expect(listing(outside)).toEqual(before);
        expect(
          readFileSync(join(outside, existsSync(join(outside, "precious")) ? "" : "taken", "precious"), "utf8"),
        ).toBe("precious");
        expect(seen.join("\n")).not.toContain("/precious");
      });
    }
  });
}

import { afterAll, beforeAll, expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { createHostileProject, type HostileProject, hooksRan, pictureOf } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import {
  captureNow,
  differences,
  doJob,
  everything,
  pictureOfCommit,
  send,
  storeOf,
  withoutBranches,
  withoutIgnored,
  withSandbox,
} from "./workspace-support.ts";

/* The hostile project with 20,000 more files, one of them of 300 MB. */

const LARGE_MIB = 300;

let project: HostileProject;
let stateDir = "";
let provider: SandboxProvider;

beforeAll(() => {
  project = createHostileProject({ files: 20_000, largeMiB: LARGE_MIB });
  stateDir = mkdtempSync(join(tmpdir(), "state-"));
  provider = localProvider(join(stateDir, "local"));
});

afterAll(async () => {
  await provider.close();
  project.remove();
  rmSync(stateDir, { recursive: true, force: true });
});

/** The most memory that this process has used since `restart`. */
const peak = {
  restart: () => writeFileSync("/proc/self/clear_refs", "5"),
  mebibytes: () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024,
};

const JOB = `
echo better > changed.txt; git commit -qam Better
rm -r many/7 staged.txt; mv many/8 moved; chmod +x many/9/file9.txt
printf 'a\\r\\nb\\0' > 'new ünï.bin'; ln -s ../changed.txt moved/link
head -c 110000000 /dev/zero > huge.bin`;

/** git's object name of a file's content. */
const oidOf = (text: string) => new Bun.CryptoHasher("sha1").update(`blob ${text.length}\0${text}`).digest("hex");

/** Applies the job's changes to a picture of the tree. */
function afterJob(before: ReadonlyMap<string, string>): Map<string, string> {
  const after = new Map<string, string>();
  for (const [path, what] of before) {
    if (!/^(many\/7(\/|$)|staged\.txt$)/.test(path)) after.set(path.replace(/^many\/8(\/|$)/, "moved$1"), what);
  }
  after.set("changed.txt", `file ${oidOf("better\n")}`);
  after.set("many/9/file9.txt", `program ${oidOf("number 9\n")}`);
  after.set(Buffer.from("new ünï.bin").toString("latin1"), `file ${oidOf("a\r\nb\0")}`);
  after.set("moved/link", "link ../changed.txt");
  return after;
}

/** A project's picture as its own git records it: no folders, nested repositories or carriage returns that it converts. */
function asRecorded(picture: ReadonlyMap<string, string>): Map<string, string> {
  const recorded = new Map([...picture].filter(([path, what]) => what !== "folder" && !path.startsWith("nested/")));
  for (const path of [...recorded.keys()].filter((one) => one.startsWith("vendor/library/"))) recorded.delete(path);
  recorded.set("vendor/library", `160000 ${project.git("rev-parse", ":vendor/library")}`);
  for (const path of ["crlf.txt", "mixed.txt"]) recorded.set(path, `file ${project.git("rev-parse", `:${path}`)}`);
  return recorded;
}

sandboxTest(
  "thousands of files and a large one go in and come back unchanged, and are never in memory all at once",
  async () => {
    const before = everything(project);
    const files = withoutIgnored(pictureOf(project.root));
    const store = await storeOf(project, stateDir);
    peak.restart();
    const startedWith = peak.mebibytes();
    const base = await captureNow(store);
    await withSandbox(provider, localSpec(), async (sandbox) => {
      await send(store, base, sandbox);
      const workspace = join(stateDir, "local/sandboxes", sandbox.id, "workspace");
      expect(differences(pictureOf(workspace), files)).toEqual([]);
      const built = await doJob({ store, base, sandbox }, "job_full", JOB);
      expect(built.leftOut).toEqual([
        { path: "huge.bin", why: 'it is too large for a commit; take it with mode "files" and paths', bytes: null },
      ]);
      await createBranch(store, "job_full", built, "pack");
    });
    expect(peak.mebibytes() - startedWith).toBeLessThan(LARGE_MIB * 0.8);

    const after = everything(project);
    expect(differences(withoutBranches(after), withoutBranches(before))).toEqual([]);
    expect([...before].filter(([path, what]) => after.get(path) !== what)).toEqual([]); // nor is an object touched
    expect(hooksRan(project)).toBe(false);
    const recorded = asRecorded(files);
    expect(differences(pictureOfCommit(project, "agents/job_full~2"), recorded)).toEqual([]);
    expect(differences(pictureOfCommit(project, "agents/job_full"), afterJob(recorded))).toEqual([]);
  },
);

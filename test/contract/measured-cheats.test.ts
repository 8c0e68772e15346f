import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Measured, MeasuredValue } from "../../src/core/measured-value.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { fetchArtifacts, NO_ARTIFACTS } from "../../src/workspace/measure/artifacts.ts";
import { buildMeasured, withObjects } from "../../src/workspace/measure/build-measured.ts";
import { forgetMeasured, readMeasured } from "../../src/workspace/measure/measured-files.ts";
import { placeMeasured } from "../../src/workspace/measure/place-measured.ts";
import { toText } from "../../src/workspace/paths.ts";
import { captureTree, type TreeBase } from "../../src/workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { CHEATS, type Cheat, HONEST, LINKS, PROJECT, RULES } from "./cheats.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { runIn, send, storeAt, withoutGit, withSandbox } from "./workspace-support.ts";

/** What comes of measuring a job in the setting "clean". */
interface Outcome {
  readonly outcome: number | "failed";
  readonly named: readonly string[];
}

const BEGIN = `[ ! -e /tmp/stays ] || { kill -9 "$(cat /tmp/stays)"; rm /tmp/stays; }
find . -mindepth 1 -delete; cp -a /tmp/start/. .
git config user.name j; git config user.email j@example.invalid`;

const isPossible = bubblewrap !== null && Bun.which("python3") !== null;

describe.if(isPossible)("a job that cheats", () => {
  let root = "";
  let store: ProjectStore;
  let base: TreeBase;
  let provider: SandboxProvider;
  let prepared = "";
  /** Jobs use it one after another: each begins with the project's files and their repository. */
  let job: Sandbox;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "cheats-"));
    const project = join(root, "project");
    for (const [path, text] of Object.entries(PROJECT)) {
      mkdirSync(join(project, dirname(path)), { recursive: true });
      writeFileSync(join(project, path), text);
    }
    for (const [path, target] of Object.entries(LINKS)) symlinkSync(target, join(project, path));
    const env = { HOME: root, PATH: process.env.PATH ?? "", GIT_CONFIG_NOSYSTEM: "1" };
    execFileSync("git", ["init", "-q", project], { env });
    store = await storeAt(project, join(root, "state"), env);
    base = await captureTree(store, "base");
    provider = localProvider(join(root, "sandboxes"));
    job = await provider.create(localSpec());
    await send(store, base, job);
    prepared = (await provider.snapshots?.take(job, null))?.id ?? "";
    await runIn(job, "cp -a . /tmp/start");
  });
  afterAll(async () => {
    await job.terminate();
    await provider.close();
    rmSync(root, { recursive: true, force: true });
  });

  for (const [n, cheat] of CHEATS.entries())
    test(`${cheat.way}: ${typeof cheat.outcome === "number" ? `the honest number, ${cheat.outcome}` : "no number"}`, async () => {
      const { outcome, named } = await measure(cheat, `job_${n}`);
      expect(outcome).toBe(cheat.outcome);
      for (const name of cheat.named ?? []) expect(named.join("\n")).toContain(name);
    });

  test("what is measured is the same with git and without, where files and folders take each other's places too", async () => {
    const script = `rm notes.txt run.sh; mkdir notes.txt; echo x > notes.txt/a; rm -r pkg; echo y > pkg
      rm link; echo z > link; mkdir -p new/deep; echo n > new/deep/file; chmod +x helpers.py`;
    const seen: string[] = [];
    for (const [n, place] of [async (sandbox: Sandbox) => sandbox, withoutGit].entries()) {
      const { runID, files } = await take({ way: "", script, outcome: HONEST }, `job_git_${n}`);
      await withSandbox(provider, localSpec({ snapshotID: prepared }), async (measuring) => {
        await placeMeasured({ store, base, sandbox: await place(measuring), clock, scratchID: runID }, runID, files);
        await forgetMeasured(store, runID);
        const list =
          "find . -path ./.git -prune -o ! -type d -printf '%M %p %l ' -exec sh -c 'cksum < \"$1\"' sh {} \\; | sort";
        seen.push((await runIn(measuring, list)).toString());
      });
    }
    expect(seen[1]).toBe(seen[0] as string);
    for (const name of ["./notes.txt/a", "./pkg ", "./link  ", "./new/deep/file"]) expect(seen[1]).toContain(name);
    expect(seen[1]).not.toContain("run.sh");
  });

  test("what git ignores is no change, and known to be there", async () => {
    const { isUnchanged, ignored } = await take(
      { way: "", script: "echo 0 > loss.bin", outcome: HONEST },
      "job_ignored",
    );
    expect({ isUnchanged, ignored }).toEqual({ isUnchanged: true, ignored: ["loss.bin"] });
    const changed = await take({ way: "", script: "echo x > new.txt", outcome: HONEST }, "job_changed");
    expect(changed.isUnchanged).toBeFalse();
  });

  async function measure(cheat: Cheat, jobID: string): Promise<Outcome> {
    const { runID, files, named, command } = await take(cheat, jobID);
    return withSandbox(provider, localSpec({ snapshotID: prepared }), async (measuring) => {
      await placeMeasured({ store, base, sandbox: measuring, clock, scratchID: runID }, runID, files);
      await forgetMeasured(store, runID);
      return { outcome: await run(measuring, command), named };
    });
  }

  /** Lets a job do what a script says, and takes what is to be measured of it. */
  async function take(cheat: Cheat, jobID: string) {
    const rules = { ...RULES, ...cheat.rules };
    const runID = `${jobID}_run`;
    await runIn(job, `${BEGIN}\n${cheat.script}`);
    const sandbox = job;
    const changes = await fetchChanges({ store, base, jobID, sandbox, clock, scratchID: `work_${jobID}` });
    const taken = await withObjects(store, jobID, async (place) => {
      const patterns = rules.artifacts;
      const artifacts =
        patterns.length === 0
          ? NO_ARTIFACTS
          : await fetchArtifacts({ store, patterns, sandbox, place, clock, mark: "a-mark-nobody-knows" });
      const built = await buildMeasured({
        ...{ store, base, changes, jobID, scratchID: jobID, runIDs: [runID] },
        artifacts: artifacts.entries,
        objects: join(place, "objects"),
        rules: { ...rules, workdir: sandbox.workdir },
      });
      const named = [...built.refused, ...artifacts.leftOut].map(({ path }) => toText(path));
      return { named, isUnchanged: built.isUnchanged, ignored: changes.ignored };
    });
    const files = await readMeasured(store, runID);
    if (!files) throw new Error("nothing was kept to be measured");
    return { ...taken, runID, files, command: rules.command };
  }
});

async function run(sandbox: Sandbox, command: string): Promise<number | "failed"> {
  const child = await sandbox.start({ argv: ["/bin/sh", "-c", `exec 2>&1 </dev/null; ${command}`] });
  const value = new MeasuredValue("loss", {});
  for await (const { bytes } of child.output) value.read(bytes);
  const exit = await child.exit;
  const measured: Measured = value.end();
  return exit.kind === "exited" && exit.code === 0 && measured.kind === "value" ? Number(measured.value) : "failed";
}

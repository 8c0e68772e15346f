import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { FILE_LIMITS, parsePatterns, selectFiles } from "../../src/workspace/collect/select-files.ts";
import type { TreeBase } from "../../src/workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { listFiles } from "../../src/workspace/sandbox/list-files.ts";
import { createProject } from "../support/opencode-project.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { captureNow, doJob, runIn, send, storeAt } from "./workspace-support.ts";

/** What a job does to the permissions of its files, the paths that are then unreadable, and those that are collected as changed. */
const CASES: readonly { what: string; script: string; closed: string[]; changed: string[] }[] = [
  { what: "a folder of its own", script: "mkdir own; echo x > own/f; chmod 0 own", closed: ["own"], changed: [] },
  { what: "a folder of the project", script: "echo better > src/a; chmod 0 src", closed: ["src"], changed: [] },
  { what: "a folder in a folder of the project", script: "echo x > src/new; mkdir src/in; chmod 0 src/in", closed: ["src/in"], changed: ["src/new"] },
  { what: "a file of its own", script: "echo x > own; chmod 0 own", closed: ["own"], changed: [] },
  { what: "a file of the project", script: "echo better > src/a; chmod 0 src/a", closed: ["src/a"], changed: [] },
  { what: "a folder that can be listed and not entered", script: "chmod 0444 src", closed: ["src"], changed: [] },
  { what: "a folder of its own that can be listed and not entered", script: "mkdir aa; echo x > aa/f; chmod 0444 aa", closed: ["aa"], changed: [] },
  { what: "a folder named like a pattern", script: "mkdir '[x]*?!# '; echo x > '[x]*?!# /f'; chmod 0444 '[x]*?!# '; mkdir x; echo x > x/f", closed: ["[x]*?!# "], changed: ["x/f"] },
  { what: "a folder that can be entered and not listed", script: "mkdir own; echo x > own/f; chmod 0111 own", closed: ["own"], changed: [] },
  { what: "a folder whose name has a line break", script: `d="$(printf 'a\\nb')"; mkdir "$d"; echo x > "$d/f"; chmod 0 "$d"`, closed: ["a\nb"], changed: [] },
  { what: "folders that can only be read, as in a module cache", script: "mkdir -p mod/v1; echo x > mod/v1/f; chmod 0444 mod/v1/f; chmod 0555 mod/v1 mod", closed: [], changed: ["mod/v1/f"] },
  { what: "three thousand nested folders", script: `(d=$(printf '%01000d' 0 | sed 's,0,d/,g'); for n in 1 2 3; do mkdir -p $d; cd -P $d; done; echo x > f)`, closed: [`${"d/".repeat(50)}...`], changed: [] },
  { what: "an entry where the changes are put together", script: "mkdir -p /tmp/.parallel-agents-changes/x; touch /tmp/.parallel-agents-changes/x/f; chmod 0 /tmp/.parallel-agents-changes/x /tmp/.parallel-agents-changes", closed: [], changed: [] },
  { what: "thirty folders", script: "for n in $(seq 30); do mkdir -p own/$n; echo x > own/$n/f; chmod 0 own/$n; done", closed: Array.from({ length: 30 }, (_, n) => `own/${n + 1}`), changed: [] },
]; // biome-ignore format: a case a line

/** Restores the work directory to the state in which it was sent. */
const RESET = `chmod -R u+rwx . /tmp/.parallel-agents-changes 2>/dev/null || true
rm -rf /tmp/.parallel-agents-changes
find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +; cp -a /tmp/sent/. .`;
const MODES = "find . -name .git -prune -o -printf '%P %m %T@ ' 2>/dev/null || true";

describe.skipIf(!bubblewrap)("collecting from a sandbox in which the job itself cannot read", () => {
  const root = mkdtempSync(join(tmpdir(), "closed-"));
  const who = { GIT_AUTHOR_NAME: "A", GIT_AUTHOR_EMAIL: "a@x", GIT_COMMITTER_NAME: "A", GIT_COMMITTER_EMAIL: "a@x" };
  const env = { HOME: join(root, "home"), PATH: process.env.PATH ?? "", ...who };
  let provider: SandboxProvider;
  let sandbox: Sandbox;
  let store: ProjectStore;
  let base: TreeBase;
  beforeAll(async () => {
    createProject(join(root, "project"), env, { "src/a": "a\n", "src/b": "b\n", c: "c\n" });
    store = await storeAt(join(root, "project"), join(root, "state"), env);
    base = await captureNow(store);
    provider = localProvider(join(root, "sandboxes"));
    sandbox = await provider.create(localSpec());
    await send(store, base, sandbox);
    await runIn(sandbox, "cp -a . /tmp/sent");
  });
  afterAll(async () => {
    await sandbox.terminate();
    await provider.close();
    rmSync(root, { recursive: true, force: true });
  });

  for (const form of ["its own history", "no history left"] as const) {
    for (const { what, script, closed, changed } of CASES) {
      test(`${what} (${form}) brings everything else, and names what is unreadable instead of taking it for removed`, async () => {
        const forget = form === "no history left" ? "rm -rf .git" : "true";
        const job = `${RESET}\n${forget}; echo changed > c; ${script}`;
        const before = String(await runIn(sandbox, `{ ${job}; } >&2; ${MODES}`));
        const built = await doJob({ store, base, sandbox }, "job_1", "true");
        expect([...built.changed].sort()).toEqual(["c", ...changed].sort());
        const unread = built.leftOut.filter(({ why }) => why.startsWith("it could not be read"));
        const isLong = ({ path }: { path: string }) => path.length > 1_000;
        expect(
          unread
            .filter((one) => !isLong(one))
            .map(({ path }) => path)
            .sort(),
        ).toEqual(closed.filter((path) => !path.endsWith("...")).sort());
        expect(unread.filter(isLong).length).toBe(closed.filter((path) => path.endsWith("...")).length);
        expect(String(await runIn(sandbox, MODES))).toBe(before);
        const listed = await listFiles(sandbox, [""], { clock, limitMs: 60_000 });
        const selection = selectFiles(listed, parsePatterns(["**"], sandbox.workdir), FILE_LIMITS);
        const named = [...selection.leftOut, ...selection.files].map(({ path }) => path);
        for (const path of ["c", ...closed]) expect(named).toContain(path);
      });
    }
  }

  test("more paths than can be listed fails, because the rest would pass for removed", async () => {
    const many = "mkdir own; (cd own; seq -f '%0250.0f' 2200 | xargs mkdir -m 0)";
    await expect(doJob({ store, base, sandbox }, "job_1", `${RESET}\n${many}`)).rejects.toThrow(
      "the job has no permission to read more files and folders than can be listed",
    );
    await runIn(sandbox, RESET);
  });
});

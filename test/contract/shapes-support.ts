import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { previewMerge } from "../../src/workspace/collect/preview-merge.ts";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { identityOf } from "../../src/workspace/project/identity.ts";
import { env, home } from "./home-support.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { doJob, runIn, send, storeAt } from "./workspace-support.ts";

/** Takes projects of a home through jobs, all in one sandbox. */
export function useJobs() {
  let root = "";
  let provider: SandboxProvider;
  let sandbox: Sandbox;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "shapes-"));
    provider = localProvider(join(root, "sandboxes"));
    sandbox = await provider.create(localSpec());
  });
  afterAll(async () => {
    await sandbox.terminate();
    await provider.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** @param meanwhile what the user does while the job works */
  async function job(folder: string, script: string, meanwhile: () => void = () => {}, jobID = "job_1") {
    const store = await storeAt(join(home, folder), join(root, "state"), env);
    const base = await captureTree(store, "base");
    await runIn(sandbox, "find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +");
    await send(store, base, sandbox);
    const listed = await runIn(sandbox, "find . -name .git -prune -o -type f -print | sort");
    meanwhile();
    const built = await doJob({ store, base, sandbox }, jobID, script);
    const branch = store.isRepository ? await createBranch(store, jobID, built, "pack") : null;
    const identity = await identityOf(store);
    const preview = await previewMerge(store, base, built, { scratchID: "merge", identity });
    return { store, base, files: String(listed).trim().split("\n"), built, branch, preview };
  }

  return { job, sandbox: () => sandbox, stateDir: () => join(root, "state") };
}

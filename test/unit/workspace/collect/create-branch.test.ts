import { expect, test } from "bun:test";
import { createBranch } from "../../../../src/workspace/collect/create-branch.ts";
import type { ProjectStore } from "../../../../src/workspace/project/project-store.ts";

test("no branch is made in a folder that is no working tree, which may still be a bare repository", async () => {
  const store = { isRepository: false, root: "/proj" } as ProjectStore;
  const built = { base: null, head: null, tip: "t", env: {} };
  await expect(createBranch(store, "job_1", built, "pack")).rejects.toThrow(
    'Could not create the branch agents/job_1: /proj is not a working tree of a git repository; use mode "patch" or "files".',
  );
});

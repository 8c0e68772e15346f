import { expect, test } from "bun:test";
import { systemClock } from "../../../src/shared/clock.ts";
import { createGit } from "../../../src/workspace/git.ts";

test("where git is not installed, that is what is said", async () => {
  const git = createGit(systemClock, { PATH: "/proc/self/fd" });
  await expect(git.read({ cwd: "/", config: "none", args: ["rev-parse", "HEAD"] })).rejects.toThrow(
    "git is not installed",
  );
});

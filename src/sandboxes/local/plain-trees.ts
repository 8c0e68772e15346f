import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { isRealFolder } from "../../shared/private-files.ts";
import { runHostTool } from "./host-tools.ts";
import type { TreeTools } from "./isolation.ts";
import { COPY_ENV, type CopyResult, runCopy } from "./tree-copy.ts";
import { MEASURE, parseMeasure } from "./tree-measure.ts";

/**
 * The tools for trees of isolations without namespaces. They have the rights of this user and no others: what a job made
 * unreadable is left out of a copy, and named, for its modes are the job's.
 */
export const plainTrees: TreeTools = {
  async copy(pairs, { below = ".", signal } = {}) {
    const results: CopyResult[] = [];
    for (const [at, { from, to }] of pairs.entries()) {
      signal?.throwIfAborted();
      const [root, source] = [await realpath(from), await realpath(join(from, below))];
      if (source !== root && !source.startsWith(`${root}/`)) throw new Error("the path leads out of the directory");
      const target = join(to, below);
      await mkdir(target, { recursive: true });
      results.push(
        await runCopy(["/bin/sh", "-c", COPY, "copy", "tree", String(at), source, target, "0"], {
          env: COPY_ENV,
          signal,
        }),
      );
    }
    return {
      leftOut: results.flatMap(({ leftOut }) => leftOut),
      leftOutCount: results.reduce((sum, { leftOutCount }) => sum + leftOutCount, 0),
    };
  },
  async remove(path) {
    if (!isRealFolder(path)) return;
    const { code, stderr } = await runHostTool(["/bin/sh", "-c", REMOVE, "remove", path]);
    if (code !== 0) throw new Error(`rm failed: ${stderr.slice(-500)}`);
  },
  async measure(path, signal) {
    return parseMeasure((await runHostTool(["/bin/sh", "-c", MEASURE, "measure", path], { signal })).stdout);
  },
};

// macOS has no /proc to copy longer paths by, and a `cp` of its own.
const COPY =
  process.platform === "linux" ? 'eval "$COPY"' : 'echo "@in $2 0" >&2; cp -pPR "$3/." "$4/" || [ $? -eq 1 ]';

// A folder's rights are given back before it is looked into: nothing can be removed from one that cannot be written.
const REMOVE = `
find "$1" -type d ! -perm -700 -exec chmod u+rwx {} ';' 2>/dev/null
rm -rf -- "$1"`;

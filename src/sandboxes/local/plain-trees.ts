import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { isRealFolder } from "../../shared/private-files.ts";
import { runHostTool } from "./host-tools.ts";
import type { TreeTools } from "./isolation.ts";
import { COPY_ENV, type CopyResult, runCopy } from "./tree-copy.ts";
import { MEASURE, parseMeasures } from "./tree-measure.ts";

/**
 * Tree tools of the backends without namespaces. They have only this user's rights: what a job made unreadable is left
 * out of a copy and named, since the job chose those modes.
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
  async remove(paths) {
    const folders = paths.filter(isRealFolder);
    if (folders.length === 0) return;
    const { code, stderr } = await runHostTool(["/bin/sh", "-c", REMOVE, "remove", ...folders]);
    if (code !== 0) throw new Error(`rm failed: ${stderr.slice(-500)}`);
  },
  async measure(paths, signal) {
    const { stdout } = await runHostTool(["/bin/sh", "-c", MEASURE, "measure", ...paths], { signal });
    return parseMeasures(stdout, paths.length);
  },
};

// macOS has no /proc to copy longer paths by, and a `cp` of its own.
const COPY =
  process.platform === "linux"
    ? 'eval "$OPTIONS"; eval "$COPY"'
    : 'echo "@in $2 0" >&2; cp -pPR "$3/." "$4/" || [ $? -eq 1 ]';

// Folders are made writable first, because nothing can be removed from a folder that cannot be written to.
const REMOVE = `
find "$@" -type d ! -perm -700 -exec chmod u+rwx {} ';' 2>/dev/null
rm -rf -- "$@"`;

import { rm } from "node:fs/promises";
import { isRealFolder } from "../../../shared/private-files.ts";
import { runHostTool } from "../host-tools.ts";
import type { TreeTools } from "../isolation.ts";
import { COPY_ENV, runCopy } from "../tree-copy.ts";
import { MEASURE, parseMeasure } from "../tree-measure.ts";
import { systemArgs } from "./root-filesystem.ts";

/**
 * Copying, removing and measuring files that belong to a job, inside small walls of their own that hold nothing but
 * those files. On the host, a job that swaps a directory for a link in mid-copy would have the host's files copied; and an
 * ordinary user could not read or remove what a job made unreadable.
 */
export function createTrees(bwrap: string, filter: Uint8Array): TreeTools {
  const inWalls = (binds: readonly string[], argv: readonly string[]) => [
    bwrap, "--seccomp", "3", ...WALLS, ...systemArgs(), ...binds, "--remount-ro", "/", "--", ...argv,
  ]; // biome-ignore format: one line
  const run = async (binds: readonly string[], argv: readonly string[], signal?: AbortSignal) => {
    const { code, stdout, stderr } = await runHostTool(inWalls(binds, argv), { signal, file: filter });
    if (code !== 0) throw new Error(`${argv[0]} failed: ${stderr.slice(-500)}`);
    return stdout;
  };
  return {
    copy(pairs, { below = ".", signal } = {}) {
      const binds = pairs.flatMap(({ from, to }, at) => ["--ro-bind", from, `/from/${at}`, "--bind", to, `/to/${at}`]);
      const env = Object.entries(COPY_ENV).flatMap(([name, value]) => ["--setenv", name, value]);
      const argv = inWalls([...binds, ...PROC, ...env], ["/bin/sh", "-c", COPY_BELOW, "copy", below]);
      return runCopy(argv, { signal, file: filter });
    },
    async remove(path) {
      if (!isRealFolder(path)) return; // bwrap would follow a link, and empty what it leads to
      await run(
        ["--bind", path, "/tree"],
        ["/bin/sh", "-c", "find /tree -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +"],
      );
      // Empty now but for directories the host made; nothing of the job's is walked.
      await rm(path, { recursive: true, force: true });
    },
    async measure(path, signal) {
      return parseMeasure(
        await run(["--ro-bind", path, "/tree"], ["/bin/sh", "-c", MEASURE, "measure", "/tree"], signal),
      );
    },
  };
}

// The working directory pins what was checked. A path that leads out is refused before anything is copied.
const COPY_BELOW = `
for d in /from/*; do
  n=\${d##*/}
  cd -P -- "$d/$1" || exit 1
  case $(pwd -P)/ in "$d"/*) ;; *) echo "the path leads out of the directory" >&2; exit 1 ;; esac
  mkdir -p -- "/to/$n/$1" && /bin/sh -c "$COPY" copy tree "$n" . "/to/$n/$1" 0 || exit 1
done`;

// With some C libraries (glibc before 2.39) a mode is set by way of /proc. It holds no processes but the copy's own.
const PROC = ["--proc", "/proc", "--remount-ro", "/proc"];

const WALLS = [
  "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
  "--die-with-parent", "--new-session", "--cap-drop", "ALL",
  "--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_FOWNER", "--cap-add", "CAP_FSETID",
  "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
]; // biome-ignore format: a table

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { runHostTool } from "../host-tools.ts";
import type { TreeTools } from "../isolation.ts";
import { systemArgs } from "./root-filesystem.ts";

/**
 * Copying, removing and measuring files that belong to a job, inside small walls of their own that hold nothing but
 * those files. On the host, a job that swaps a directory for a link in mid-copy would have the host's files copied; and an
 * ordinary user could not read or remove what a job made unreadable.
 */
export function createTrees(bwrap: string, filter: Uint8Array): TreeTools {
  const run = async (binds: readonly string[], argv: readonly string[], signal?: AbortSignal) => {
    const { code, stdout, stderr } = await runHostTool(
      [bwrap, "--seccomp", "3", ...WALLS, ...systemArgs(), ...binds, "--remount-ro", "/", "--", ...argv],
      { signal, file: filter },
    );
    if (code !== 0) throw new Error(`${argv[0]} failed: ${stderr.slice(-500)}`);
    return stdout;
  };
  return {
    async copy(pairs, { below = ".", signal } = {}) {
      const binds = pairs.flatMap(({ from, to }, at) => ["--ro-bind", from, `/from/${at}`, "--bind", to, `/to/${at}`]);
      await run(binds, ["/bin/sh", "-c", COPY, "copy", below], signal);
    },
    async remove(path) {
      if (!existsSync(path)) return;
      await run(
        ["--bind", path, "/tree"],
        ["/bin/sh", "-c", "find /tree -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +"],
      );
      // Empty now but for directories the host made; nothing of the job's is walked.
      await rm(path, { recursive: true, force: true });
    },
    async sizeBytes(path) {
      // A job deletes files while they are counted: complaints of du are not failures.
      const out = await run(["--ro-bind", path, "/tree"], ["/bin/sh", "-c", "du -sk /tree 2>/dev/null || true"]);
      return (Number.parseInt(out, 10) || 0) * 1024;
    },
  };
}

// The working directory pins what was checked. A job goes on while it is copied: files that vanish are no failure.
const COPY = `
for d in /from/*; do
  n=\${d##*/}
  cd -P -- "$d/$1" || exit 1
  case $(pwd -P)/ in "$d"/*) ;; *) echo "the path leads out of the directory" >&2; exit 1 ;; esac
  mkdir -p -- "/to/$n/$1" || exit 1
  said=$(cp -a --reflink=auto ./. "/to/$n/$1/" 2>&1) || ! printf '%s\\n' "$said" | grep -v ': No such file or directory$' >&2 || exit 1
done`;

const WALLS = [
  "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
  "--die-with-parent", "--new-session", "--cap-drop", "ALL",
  "--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_FOWNER", "--cap-add", "CAP_FSETID",
  "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
]; // biome-ignore format: a table

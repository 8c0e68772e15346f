import { chmod, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { isRealFolder } from "../../../shared/private-files.ts";
import { runHostTool } from "../host-tools.ts";
import type { TreePair, TreeTools } from "../isolation.ts";
import { COPY_ENV, NOTHING_LEFT_OUT, runCopy } from "../tree-copy.ts";
import { MEASURE, parseMeasures } from "../tree-measure.ts";
import { leastEtcArgs } from "./root-filesystem.ts";

/**
 * Copies, removes and measures a job's files inside a small sandbox that contains nothing else but the system's programs. On
 * the host, a job that swaps a directory for a link in mid-copy would get the host's files copied, and an ordinary user could
 * not read or remove what a job made unreadable.
 * @param programs bwrap's arguments for the system's programs
 */
export function createIsolatedTrees(bwrap: string, filter: Uint8Array, programs: () => readonly string[]): TreeTools {
  const inSandbox = (binds: readonly string[], argv: readonly string[]) => [
    bwrap, "--seccomp", "3", ...BWRAP_ARGS, ...programs(), ...leastEtcArgs(), ...binds, "--remount-ro", "/", "--", ...argv,
  ]; // biome-ignore format: one line
  const run = async (binds: readonly string[], argv: readonly string[], signal?: AbortSignal) => {
    const { code, stdout, stderr } = await runHostTool(inSandbox(binds, argv), { signal, file: filter });
    if (code !== 0) throw new Error(`${argv[0]} failed: ${stderr.slice(-500)}`);
    return stdout;
  };
  /** The directory itself is there all the time: a sandbox may be starting around it. */
  const empty = async (path: string) => {
    await chmod(path, 0o700);
    await run(["--bind", path, "/tree"], ["/bin/sh", "-c", "find /tree -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +"]);
  };
  return {
    async copy(pairs, { below = ".", isAtRest = false, signal } = {}) {
      if (isAtRest) {
        if (await copyAtRest(pairs, signal)) return NOTHING_LEFT_OUT;
        for (const { to } of pairs) await empty(to);
      }
      const binds = pairs.flatMap(({ from, to }, at) => ["--ro-bind", from, `/from/${at}`, "--bind", to, `/to/${at}`]);
      const env = Object.entries(COPY_ENV).flatMap(([name, value]) => ["--setenv", name, value]);
      const argv = inSandbox([...binds, ...PROC, ...env], ["/bin/sh", "-c", COPY_BELOW, "copy", below]);
      return runCopy(argv, { signal, file: filter });
    },
    async remove(paths) {
      const folders = paths.filter(isRealFolder); // bwrap would follow a link and empty its target
      if (folders.length === 0) return;
      // `rm` follows no links, and needs no sandbox for what this user may remove. Where it fails or lies elsewhere, the
      // sandbox below says what is wrong.
      const removed = await runHostTool(["/bin/rm", "-rf", "--", ...folders], { quiet: true }).catch(() => null);
      if (removed?.code === 0) return;
      const failures: unknown[] = [];
      for (const path of folders.filter(isRealFolder))
        await empty(path)
          .then(() => rm(path, { recursive: true, force: true })) // nothing of the job's any more
          .catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
    async measure(paths, signal) {
      const binds = paths.flatMap((path, at) => ["--ro-bind-try", path, `/tree/${at}`]); // it may be gone
      const argv = ["/bin/sh", "-c", MEASURE, "measure", ...paths.map((_, at) => `/tree/${at}`)];
      return parseMeasures(await run(binds, argv, signal), paths.length);
    },
  };
}

/**
 * Copies trees that nobody can write to meanwhile with a single `cp`: a sandbox around it takes longer than the copy of a
 * small tree. `cp` follows no links, so such trees are no danger to the host.
 * @returns false where something could not be copied: whatever it is, the copy in a sandbox names it
 */
async function copyAtRest(pairs: readonly TreePair[], signal?: AbortSignal): Promise<boolean> {
  const [into, ...others] = new Set(pairs.map(({ to }) => dirname(to)));
  const isOneTree = others.length === 0 && pairs.every(({ from, to }) => basename(from) === basename(to));
  if (into === undefined || !isOneTree) return false;
  const sources = pairs.map(({ from }) => from);
  const argv = ["/bin/cp", "-a", "--no-preserve=ownership", "--reflink=auto", "--", ...sources, `${into}/`];
  return (await runHostTool(argv, { signal, quiet: true })).code === 0;
}

// Changing into the directory pins what was checked. A path that leads out is refused before anything is copied. Each pair
// has a subshell, not a program of its own, because starting one costs more than copying a small tree. For the same reason
// one `cp` copies all directories that are empty, of which a new sandbox has three: their modes and times.
const COPY_BELOW = `
eval "$OPTIONS"
isEmpty() { for f in * .[!.]* ..?*; do [ ! -e "$f" ] && [ ! -L "$f" ] || return 1; done; }
empty=
for d in /from/*; do
  n=\${d##*/}
  cd -P -- "$d/$1" || exit 1
  case $PWD/ in "$d"/*) ;; *) echo "the path leads out of the directory" >&2; exit 1 ;; esac
  [ -d "/to/$n/$1" ] || mkdir -p -- "/to/$n/$1" || exit 1
  if [ "$1" = . ] && isEmpty; then empty="$empty $d"; continue; fi
  (set -- tree "$n" . "/to/$n/$1" 0; eval "$COPY") || exit 1
done
[ -z "$empty" ] || cp -a $own $empty /to/ 2>/dev/null && exit
for d in $empty; do
  cd -P -- "$d" || exit 1
  (set -- tree "\${d##*/}" . "/to/\${d##*/}" 0; eval "$COPY") || exit 1
done`;

// Some C libraries (glibc before 2.39) set modes through /proc. This one shows only the copy's own processes.
const PROC = ["--proc", "/proc", "--remount-ro", "/proc"];

const BWRAP_ARGS = [
  "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
  "--die-with-parent", "--new-session", "--cap-drop", "ALL",
  "--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_FOWNER", "--cap-add", "CAP_FSETID",
  "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null",
]; // biome-ignore format: a table

import { type SpawnSyncOptions, spawnSync } from "node:child_process";

/** Files that jobs make, on purpose or through their tools, with the commands that make them. */
export const HOSTILE_TREE: Readonly<Record<string, string>> = {
  "a module cache of Go": "mkdir -p go/mod@v1/sub; echo go > go/mod@v1/sub/f.go; chmod 0444 go/mod@v1/sub/f.go; chmod 0555 go/mod@v1/sub go/mod@v1",
  "a folder that nobody may enter": "mkdir closed; echo in > closed/f; chmod 0 closed",
  "a folder that may be written to but not listed": "mkdir blind; echo in > blind/f; chmod 0333 blind",
  "a file that nobody may read": "echo shut > shut; chmod 0 shut",
  "special bits": "cp /bin/true suid; chmod 6755 suid; mkdir sticky; chmod 3777 sticky",
  "hard links, one in a folder without permissions": "echo linked > one; ln one two; mkdir tied; ln one tied/three; chmod 0 tied",
  "links that lead nowhere, outside, and in circles": "ln -s /nowhere dangling; ln -s /etc/passwd out; ln -s round round; ln -s ../../../../.. up",
  "a pipe": "mkfifo pipe; chmod 0640 pipe",
  "a socket": `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die'`,
  "an overlay file system's whiteout": "mknod whiteout c 0 0",
  "a file with holes": "truncate -s 5G holes; printf end >> holes",
  "names of any bytes": `mkdir -- "-rf"; : > "-n"; : > "$(printf 'new\\nline')"; : > "$(printf 'latin \\351\\377')"; : > "$(printf 'escape \\033[2J')"; : > "it's \\"quoted\\" \\$(id) \\\\"; : > " "; : > "@in 0 0"`,
  "the longest name": ": > \"$(printf '%0255d' 0)\"",
  "old and coming times": "touch -d '1971-02-03 04:05:06.789' old; touch -d '2037-01-01' coming; mkdir dated; touch -d '2001-01-01' dated; ln -s x link; touch -h -d '1999-09-09' link",
  "an empty folder": "mkdir empty; chmod 0700 empty",
  "a deep tree of short names": "(i=0 d=$(printf '%01000d' 0 | sed 's,0,d/,g'); while [ $i -lt 3 ]; do mkdir -p $d; cd -P $d; i=$((i + 1)); done; echo bottom > f; ln f g; chmod 0555 .)",
  "a deep tree of long names":
    "(n=$(printf '%0250d' 0); i=0; while [ $i -lt 60 ]; do mkdir $n; : > f; cd -P $n; i=$((i + 1)); done; echo bottom > f; chmod 0 .)",
}; // biome-ignore format: one command per line

/**
 * Describes a tree completely: kind, mode, size, time and links of each path, and the contents of files. It is read as root
 * of a user namespace, so that this works for an ordinary user too.
 */
const AS_ROOT = "unshare";
export const asRoot = (argv: readonly string[], options: SpawnSyncOptions = {}) =>
  spawnSync(AS_ROOT, ["-r", ...argv], { maxBuffer: 2 ** 28, ...options });

export function describeTree(root: string): string[] {
  const inside = (script: string) => {
    const { status, stdout, stderr } = asRoot(["sh", "-c", script], {
      cwd: root,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    });
    if (status !== 0) throw new Error(`could not describe ${root}: ${String(stderr).slice(0, 500)}`);
    return stdout.toString("latin1").split("\0").slice(0, -1);
  };
  const inodes = new Map<string, string>();
  const fields = inside("find . -printf '%P\\0%i\\0%y %m %s %T@ %n\\0%l\\0'");
  const lines: [path: string, inode: string, facts: string][] = [];
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [path = "", inode = "", facts = "", to = ""] = fields.slice(at, at + 4);
    // The size of a directory depends on the file system.
    lines.push([path, inode, `${facts.replace(/^d (\d+) \d+/, "d $1")} ${to}`]);
  }
  const facts = lines
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, inode, said]) => {
      // Further hard links refer to the first name of the file.
      if (!inodes.has(inode)) inodes.set(inode, path);
      const first = inodes.get(inode);
      return `${path}\t${said}${first === path ? "" : ` = ${first}`}`;
    });
  const contents = inside("find . -type f -size -1M -printf '%P\\t' -execdir sha256sum -z -- {} ';'");
  return [...facts, ...contents.map((line) => line.replace(/ {2}\.\/.*$/s, "")).sort()];
}

/** KiB that a file occupies on disk. */
export const takenKiB = (path: string): number =>
  Number(spawnSync("du", ["-k", path], { encoding: "utf8" }).stdout.split("\t")[0]);

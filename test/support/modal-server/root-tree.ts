import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { chmod, lstat, mkdir, readlink, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { runTool } from "./run-tool.ts";

/*
 * A sandbox's root is a directory of the server, writable everywhere, with parts of the host's system mounted read-only: /usr,
 * the libraries, a part of /etc. Paths are resolved here as in the sandbox, so that no link leads out of it.
 */

const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];
const ETC = [
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "alternatives",
  "localtime",
  "ssl/certs",
  "ssl/openssl.cnf",
  "ca-certificates",
  "protocols",
  "services",
  "mime.types",
  "terminfo",
  "perl",
  "python3",
];
/** Directories that bubblewrap makes inside; they do not exist in the root's directory. */
const KERNEL = ["/proc", "/dev", "/sys"];

const FOLDERS = [
  "root",
  "tmp",
  "usr",
  "etc",
  "proc",
  "dev",
  "home",
  "opt",
  "mnt",
  "srv",
  "run",
  "var/tmp",
  "var/lib",
  "var/log",
];
const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1 localhost modal\n",
  "etc/hostname": "modal\n",
  "etc/resolv.conf": "",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

/** Directories that every image has. */
export async function layOut(root: string): Promise<void> {
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true });
  for (const folder of ["tmp", "var/tmp"]) await chmod(join(root, folder), 0o1777);
  for (const [path, content] of Object.entries(FILES)) await writeFile(join(root, path), content);
  for (const path of SYSTEM) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) await symlink(readlinkSync(path), join(root, path)).catch(() => {});
  }
}

/** bwrap's arguments for the system part of the root. */
export function systemBinds(): string[] {
  const args = SYSTEM.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory()).flatMap((path) => [
    "--ro-bind",
    path,
    path,
  ]);
  for (const name of ETC)
    if (existsSync(`/etc/${name}`)) args.push("--ro-bind", realpathSync(`/etc/${name}`), `/etc/${name}`);
  return args;
}

export async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  // A running command may change the tree during the copy, so files that vanish (code 1) are no failure.
  await runTool("cp", ["-a", "--reflink=auto", `${from}/.`, to], [0, 1]);
}

export async function removeTree(path: string): Promise<void> {
  await runTool("rm", ["-rf", path], [0, 1]);
  if (process.getuid?.() === 0 || !existsSync(path)) return;
  // The job may have removed our permission to its folders.
  await runTool("chmod", ["-R", "u+rwX", path], [0, 1]);
  await runTool("rm", ["-rf", path], [0, 1]);
}

export interface Place {
  /** Path on the host. */
  readonly host: string;
  /** Path in the sandbox, with links resolved. */
  readonly inside: string;
  readonly readOnly: boolean;
}

export class PathError extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Resolves a path in a sandbox. @param last whether to follow a link as the last part too @throws PathError */
export async function placeOf(
  root: string,
  mounts: readonly { path: string; host: string; readOnly: boolean }[],
  path: string,
  last = true,
): Promise<Place> {
  let rest = path.split("/").filter((part) => part !== "" && part !== ".");
  let inside = "/";
  for (let links = 0; rest.length > 0; ) {
    const [part, ...others] = rest as [string, ...string[]];
    rest = others;
    if (part === "..") {
      inside = dirname(inside);
      continue;
    }
    const next = join(inside, part);
    const { host } = located(root, mounts, next);
    const stat = await lstat(host).catch(() => null);
    if (stat?.isSymbolicLink() && (last || rest.length > 0)) {
      links += 1;
      if (links > 40) throw new PathError("Other", "Too many levels of symbolic links");
      const target = await readlink(host);
      if (target.startsWith("/")) inside = "/";
      rest = [...target.split("/").filter((each) => each !== "" && each !== "."), ...rest];
      continue;
    }
    if (stat !== null && !stat.isDirectory() && rest.length > 0) throw new PathError("NotDirectory", "Not a directory");
    inside = next;
  }
  return located(root, mounts, inside);
}

function located(
  root: string,
  mounts: readonly { path: string; host: string; readOnly: boolean }[],
  inside: string,
): Place {
  if (KERNEL.some((path) => below(inside, path)))
    throw new PathError("NotSupported", "Not a file of the sandbox's disk");
  const mount = mounts.find((each) => below(inside, each.path));
  if (mount) return { host: join(mount.host, inside.slice(mount.path.length)), inside, readOnly: mount.readOnly };
  const system = SYSTEM.find(
    (path) => below(inside, path) && !lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink(),
  );
  if (system !== undefined) return { host: inside, inside, readOnly: true };
  return { host: join(root, inside), inside, readOnly: false };
}

const below = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

export const nameOf = (path: string): string => basename(path) || "/";

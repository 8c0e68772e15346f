import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, rm, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Exec } from "./exec.ts";
import type { Mount } from "./machine.ts";
import { nameOf, PathError, type Place, placeOf } from "./root-tree.ts";

/*
 * Answers the protocol of /__modal/.bin/modal-sandbox-fs-tools in place of a program in the sandbox: one JSON argument with a
 * single key, results on stdout, failures as JSON on stderr with a non-zero exit code.
 */

export const FILE_TOOL = "/__modal/.bin/modal-sandbox-fs-tools";
const CHUNK = 256 * 1024;

interface Disk {
  readonly root: string;
  readonly mounts: readonly Mount[];
}

type Arguments = { readonly path: string; readonly parents?: boolean; readonly recursive?: boolean };

const OPERATIONS: Readonly<Record<string, (disk: Disk, args: Arguments, exec: Exec) => Promise<void>>> = {
  ReadFile: readFile,
  WriteFile: writeFile,
  ListFiles: listFiles,
  Stat: statFile,
  MakeDirectory: makeDirectory,
  Remove: remove,
};

/** @throws Error when the argument does not follow the protocol */
export function runFileTool(id: string, argv: readonly string[], disk: Disk, scratch: string): Exec {
  const exec = new Exec(id, argv, scratch);
  const [name, args] = Object.entries(JSON.parse(argv[1] ?? "null") as Record<string, Arguments>)[0] ?? [];
  const operation = OPERATIONS[name ?? ""];
  const done = (code: number) => exec.finish({ code });
  exec.kill = () => exec.finish({ signal: 9 });
  const run = async () => {
    if (!operation || args === undefined)
      throw new PathError("NotSupported", `The test server's file tool has no ${name}`);
    if (!args.path.startsWith("/")) throw new PathError("Other", "Path is not absolute");
    await operation(disk, args, exec);
  };
  run().then(
    () => done(0),
    (error: unknown) => {
      const kind =
        error instanceof PathError ? error.kind : (KINDS[(error as { code?: string }).code ?? ""] ?? "Other");
      const message = MESSAGES[kind] ?? (error as Error).message;
      exec.stderr.append(Buffer.from(`${JSON.stringify({ error_kind: kind, message, detail: String(error) })}\n`));
      done(1);
    },
  );
  return exec;
}

const KINDS: Readonly<Record<string, string>> = {
  ENOENT: "NotFound", EISDIR: "IsDirectory", ENOTDIR: "NotDirectory", EACCES: "PermissionDenied", EPERM: "PermissionDenied",
  EROFS: "PermissionDenied", EEXIST: "PathAlreadyExists", ENOTEMPTY: "DirectoryNotEmpty",
}; // biome-ignore format: a table
const MESSAGES: Readonly<Record<string, string>> = {
  NotFound: "No such file or directory", IsDirectory: "Is a directory", NotDirectory: "Not a directory", PermissionDenied: "Permission denied",
  PathAlreadyExists: "Path already exists", DirectoryNotEmpty: "Directory not empty",
}; // biome-ignore format: a table

async function readFile({ root, mounts }: Disk, { path }: Arguments, exec: Exec): Promise<void> {
  const { host } = await placeOf(root, mounts, path);
  const found = await stat(host);
  if (found.isDirectory()) throw new PathError("IsDirectory", "Is a directory");
  // The real tool would block on a pipe.
  if (!found.isFile()) throw new PathError("Other", "Not a regular file");
  permit(found.mode, 0o400);
  const file = await open(host, "r");
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK);
      if (bytesRead === 0) return;
      exec.stdout.append(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function writeFile({ root, mounts }: Disk, { path }: Arguments, exec: Exec): Promise<void> {
  const place = await placeOf(root, mounts, path);
  const found = await stat(place.host).catch(() => null);
  if (found?.isDirectory()) throw new PathError("IsDirectory", "Is a directory");
  writable(place);
  if (found) permit(found.mode, 0o200);
  await mkdir(dirname(place.host), { recursive: true });
  const parts: Uint8Array[] = [];
  await new Promise<void>((resolve) =>
    exec.connect({ write: async (bytes) => void parts.push(Uint8Array.from(bytes)), end: resolve }),
  );
  const file = await open(place.host, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o644);
  try {
    for (const part of parts) await file.writeFile(part);
  } finally {
    await file.close();
  }
}

async function listFiles({ root, mounts }: Disk, { path }: Arguments, exec: Exec): Promise<void> {
  const { host } = await placeOf(root, mounts, path);
  const found = await stat(host);
  if (!found.isDirectory()) throw new PathError("NotDirectory", "Not a directory");
  permit(found.mode, 0o400);
  const entries = [];
  for (const name of (await readdir(host)).sort()) entries.push(await describe(join(host, name), join(path, name)));
  exec.stdout.append(Buffer.from(JSON.stringify(entries)));
}

async function statFile({ root, mounts }: Disk, { path }: Arguments, exec: Exec): Promise<void> {
  const { host, inside } = await placeOf(root, mounts, path, false);
  exec.stdout.append(Buffer.from(JSON.stringify(await describe(host, inside))));
}

async function makeDirectory({ root, mounts }: Disk, { path, parents }: Arguments): Promise<void> {
  const place = await placeOf(root, mounts, path);
  const found = await stat(place.host).catch(() => null);
  if (found?.isDirectory() && parents) return;
  if (found && parents) throw new PathError("NotDirectory", "Not a directory");
  writable(place);
  await mkdir(place.host, { recursive: parents ?? false });
}

async function remove({ root, mounts }: Disk, { path, recursive }: Arguments): Promise<void> {
  const place = await placeOf(root, mounts, path, false);
  const found = await lstat(place.host);
  writable(place);
  if (!found.isDirectory()) await unlink(place.host);
  else if (recursive) await rm(place.host, { recursive: true });
  else await rmdir(place.host);
}

function writable(place: Place): void {
  if (place.readOnly) throw new PathError("PermissionDenied", "Read-only file system");
}

// Commands run as the owner of the files without capabilities, so the owner's bits decide, whoever runs the server.
function permit(mode: number, bit: number): void {
  if ((mode & bit) === 0) throw new PathError("PermissionDenied", "Permission denied");
}

async function describe(host: string, path: string): Promise<object> {
  const found = await lstat(host);
  const type = found.isSymbolicLink() ? "symlink" : found.isDirectory() ? "directory" : "file";
  const bits = found.mode & 0o7777;
  return {
    name: nameOf(path),
    path,
    type,
    size: found.size,
    mode: bits,
    permissions: [...Array(9).keys()].map((at) => (bits & (0o400 >> at) ? "rwx"[at % 3] : "-")).join(""),
    owner: "root",
    group: "root",
    modified_time: found.mtimeMs / 1000,
    symlink_target: type === "symlink" ? await readlink(host) : null,
  };
}

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { KEEP_MEMORY } from "../../src/workspace/git.ts";
import { closed, opened } from "./ledger.ts";

/** A repository with about everything in it that a project may hold, made by the real git. */
export interface HostileProject {
  readonly root: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  git(...args: string[]): string;
  /** The same, with its output as it is. */
  bytes(...args: string[]): Buffer;
  write(path: string | Buffer, content: string | Uint8Array, mode?: number): void;
  remove(): void;
}

const MiB = 1024 * 1024;

const NAMES = [
  "späce and ümlaut.txt",
  "日本語/ファイル.txt",
  "new\nline",
  'quo"te\\back',
  "-dash",
  "*star?[x]",
  " lead",
  "#hash",
  "!bang",
];

export const bytesOf = (path: string | Buffer): Buffer => (typeof path === "string" ? Buffer.from(path) : path);

export function createHostileProject(
  options: { readonly files?: number; readonly largeMiB?: number } = {},
): HostileProject {
  const base = mkdtempSync(join(tmpdir(), "project-"));
  opened("project", base, () => rmSync(base, { recursive: true, force: true }));
  const [root, home] = [join(base, "project"), join(base, "home")];
  for (const folder of [root, home]) mkdirSync(folder);
  const env = { PATH: process.env.PATH ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C", ...KEEP_MEMORY };
  writeFileSync(
    join(home, ".gitconfig"),
    '[user]\n\tname = Ada Example\n\temail = ada@example.com\n[protocol "file"]\n\tallow = always\n[gc]\n\tauto = 0\n',
  );
  const at = (path: string | Buffer) => Buffer.concat([Buffer.from(`${root}/`), bytesOf(path)]);
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, env, encoding: "utf8", stdio: "pipe" }).trimEnd();
  const bytes = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, env, stdio: "pipe", maxBuffer: 64 * MiB });
  const write = (path: string | Buffer, content: string | Uint8Array, mode = 0o644) => {
    mkdirSync(parentOf(at(path)), { recursive: true });
    writeFileSync(at(path), content);
    chmodSync(at(path), mode);
  };

  git("init", "--quiet", "--initial-branch=main");
  execFileSync("git", ["fast-import", "--quiet"], { cwd: root, env, input: commitOf(options.files ?? 50) });
  git("checkout", "--quiet", "main");
  write(
    ".gitattributes",
    "* text=auto\nlarge.bin -text\n*.lfs filter=lfs diff=lfs -text\n*.keep export-ignore\n*.id ident export-subst\n",
  );
  write(".gitignore", "ignored.txt\nignored/\n*.secret\n");
  for (const name of NAMES) write(name, `${name}\n`);
  write(Buffer.from("latin\xe9.txt", "latin1"), "not UTF-8\n");
  write("binary.bin", Buffer.from(Array.from({ length: 5_000 }, (_, n) => (n * 7919) % 256)));
  write("run.sh", "#!/bin/sh\necho run\n", 0o755);
  write("crlf.txt", "one\r\ntwo\r\n");
  write("mixed.txt", "one\r\ntwo\n");
  write("only.keep", "left out of archives\n");
  write("version.id", "$Id$ $Format:%H$\n");
  write("model.lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
  write("deep/er/est/file", "deep\n");
  for (const name of [
    "changed.txt",
    "staged.txt",
    "both.txt",
    "deleted.txt",
    "gone/only.txt",
    "type.txt",
    "tracked.secret",
  ])
    write(name, `${name} as committed\n`);
  symlinkSync("run.sh", at("inside"));
  symlinkSync("/etc/passwd", at("outside"));
  symlinkSync("../../..", at("up"));
  symlinkSync("deep", at("folder-link"));
  symlinkSync("nowhere", at("dangling"));
  if (options.largeMiB) writeLarge(join(root, "large.bin"), options.largeMiB);
  git("-c", "core.compression=0", "-c", "core.bigFileThreshold=1m", "add", "--all", "--force", "--", ".");
  git("commit", "--quiet", "--message", "First");

  const library = join(base, "library");
  mkdirSync(library);
  execFileSync("git", ["init", "--quiet", library], { env });
  writeFileSync(join(library, "lib.txt"), "library\n");
  execFileSync("git", ["-C", library, "add", "."], { env });
  execFileSync("git", ["-C", library, "commit", "--quiet", "-m", "Lib"], { env });
  git("submodule", "--quiet", "add", library, "vendor/library");
  git("commit", "--quiet", "--message", "With a submodule");

  write("changed.txt", "changed, not staged\n");
  write("staged.txt", "staged\n");
  git("add", "staged.txt");
  write("both.txt", "staged first\n");
  git("add", "both.txt");
  write("both.txt", "then changed again\n");
  for (const name of ["deleted.txt", "gone/only.txt", "type.txt"]) rmSync(at(name));
  symlinkSync("changed.txt", at("type.txt"));
  write("added.txt", "added and staged\n");
  git("add", "added.txt");
  write("untracked.txt", "untracked\n");
  write("untracked/deeper/new.sh", "#!/bin/sh\n", 0o755);
  mkdirSync(at("untracked/empty"));
  mkdirSync(at("logs"));
  mkdirSync(at("ignored/empty"), { recursive: true });
  write("ignored.txt", "secret\n");
  write("ignored/file", "secret\n");
  write("other.secret", "secret\n");
  mkdirSync(at("nested"));
  execFileSync("git", ["init", "--quiet", at("nested").toString()], { env });
  write("nested/own.txt", "a repository in the repository\n");
  execFileSync("git", ["-C", at("nested").toString(), "add", "."], { env });
  execFileSync("git", ["-C", at("nested").toString(), "commit", "--quiet", "-m", "Nested"], { env });
  write("nested/loose.txt", "not committed there\n");
  write("vendor/library/local.txt", "changed in the submodule\n");
  write("stashed.txt", "stashed\n");
  git("stash", "push", "--quiet", "--include-untracked", "--", "stashed.txt");
  for (const hook of ["pre-commit", "post-commit", "post-checkout", "reference-transaction", "post-index-change"])
    write(`.git/hooks/${hook}`, `#!/bin/sh\necho ${hook} >> ${base}/hooks-ran\n`, 0o755);
  git("config", "filter.lfs.clean", `sh -c 'echo clean >> ${base}/hooks-ran; cat'`);
  git("config", "core.fsmonitor", `${base}/project/.git/hooks/pre-commit`);
  return {
    root,
    home,
    env,
    git,
    bytes,
    write,
    remove() {
      rmSync(base, { recursive: true, force: true });
      closed("project", base);
    },
  };
}

/** Whether something of the repository's own ran: its hooks, filters and monitor leave a mark. */
export const hooksRan = ({ root }: HostileProject): boolean => existsSync(join(dirname(root), "hooks-ran"));

const parentOf = (path: Buffer): Buffer => path.subarray(0, path.lastIndexOf(0x2f));

/** Thousands of files at once, as git itself brings them in. */
function commitOf(files: number): string {
  const lines = [
    "commit refs/heads/main",
    "committer Ada Example <ada@example.com> 1000000000 +0000",
    "data 4",
    "Many",
  ];
  for (let n = 0; n < files; n++) {
    const text = `number ${n}\n`;
    lines.push(`M 100644 inline many/${n % 20}/file${n}.txt`, `data ${text.length}`, text);
  }
  return `${lines.join("\n")}\n`;
}

/** Each block is another, so that nothing is gained by packing them together. */
function writeLarge(path: string, mebibytes: number): void {
  const block = new Uint32Array(MiB / 4);
  for (let n = 0, word = 1; n < block.length; n++) {
    word = Math.imul(word, 1_664_525) + 1_013_904_223;
    block[n] = word ^ (word >>> 13);
  }
  const file = openSync(path, "w");
  for (let n = 0; n < mebibytes; n++) {
    block[0] = n;
    writeSync(file, block);
  }
  closeSync(file);
}

/** The name git gives to a file's bytes. Large files are read in pieces: what is under test is watched for its memory. */
function blobOf(path: Buffer, size: number): string {
  const hash = createHash("sha1").update(`blob ${size}\0`);
  if (size <= MiB) return hash.update(readFileSync(path)).digest("hex");
  const piece = Buffer.alloc(MiB);
  const file = openSync(path, "r");
  for (let length = readSync(file, piece); length > 0; length = readSync(file, piece))
    hash.update(piece.subarray(0, length));
  closeSync(file);
  return hash.digest("hex");
}

/**
 * Every file, link and directory below a folder: what it is, and what it holds by git's name for it. `.git` is left out
 * unless asked for.
 */
export function pictureOf(root: string, withGit = false): Map<string, string> {
  const picture = new Map<string, string>();
  const visit = (folder: Buffer, name: string) => {
    for (const bytes of readdirSync(folder, { encoding: "buffer" })) {
      const entry = Buffer.from(bytes); // Bun gives a bare Uint8Array
      const path = Buffer.concat([folder, Buffer.from("/"), entry]);
      const shown = name + entry.toString("latin1");
      if (entry.toString() === ".git" && !withGit) continue;
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) picture.set(shown, `link ${readlinkSync(path)}`);
      else if (stat.isDirectory()) {
        picture.set(shown, "folder");
        visit(path, `${shown}/`);
      } else {
        picture.set(shown, `${stat.mode & 0o100 ? "program" : "file"} ${blobOf(path, stat.size)}`);
      }
    }
  };
  visit(Buffer.from(root), "");
  return picture;
}

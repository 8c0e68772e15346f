import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** `program`, `data`, a folder, a link to another path of the tree (`-> home/x`, relative: `-> ../x`), with a mode. */
export type Tree = Readonly<Record<string, string>>;

// Temporary directories are never lent at all, so a checkout in one of them does not serve.
const isTemporary = (path: string) => ["/tmp/", "/var/tmp/", "/dev/shm/"].some((folder) => path.startsWith(folder));

/** A folder that things can be lent from. Others than root are to reach it too, which root's home does not let them. */
export function newBase(): string {
  const elsewhere = process.geteuid?.() === 0 ? "/srv" : homedir();
  const parent = isTemporary(process.cwd()) ? elsewhere : join(process.cwd(), "node_modules");
  mkdirSync(parent, { recursive: true });
  return realpathSync(mkdtempSync(join(parent, ".lent-")));
}

/** @param content of what is no program: a secret to look for */
export function plant(base: string, tree: Tree, content = "secret"): void {
  for (const [name, what] of Object.entries(tree)) {
    const path = join(base, name);
    const [kind = "", mode] = what.split(" mode ");
    mkdirSync(dirname(path), { recursive: true });
    if (kind === "folder") mkdirSync(path, { recursive: true });
    else if (kind.startsWith("-> ")) {
      const target = kind.slice(3);
      symlinkSync(target.startsWith(".") || target.startsWith("/") ? target : join(base, target), path);
    } else writeFileSync(path, kind === "program" ? "#!/bin/sh\necho ran $0\n" : content);
    if (!kind.startsWith("->")) chmodSync(path, mode ? Number.parseInt(mode, 8) : kind === "data" ? 0o644 : 0o755);
  }
}

export const removeBase = (base: string): void => rmSync(base, { recursive: true, force: true });

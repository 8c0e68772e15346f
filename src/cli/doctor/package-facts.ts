import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { PackageFacts } from "./checks/package.ts";
import { dependencyOf, type InstalledPackage } from "./installed-package.ts";

/** Dependencies that work in one version only. */
const PINNED = ["modal", "zod"];

export function readPackageFacts(own: InstalledPackage | null): PackageFacts {
  if (own === null) return { own, pinned: {}, isStale: null };
  const pinned = Object.fromEntries(PINNED.map((name) => [name, dependencyOf(own.root, name)]));
  const source = newest(join(own.root, "src"), ".ts");
  const built = newest(join(own.root, "dist"), ".js");
  return { own, pinned, isStale: source === null || built === null ? null : source > built };
}

/** When the newest file with this ending was written, epoch ms; null = there is none. */
function newest(folder: string, ending: string): number | null {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch {
    return null;
  }
  const times = names
    .filter((name) => name.endsWith(ending))
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return times.length === 0 ? null : Math.max(...times);
}

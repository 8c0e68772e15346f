import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const PACKAGE_NAME = "opencode-parallel-agents";

/** A package on this machine, by its package.json. */
export interface InstalledPackage {
  /** Its folder, links resolved. */
  readonly root: string;
  readonly name: string | null;
  readonly version: string | null;
  /** The exact versions of its dependencies, or ranges, by name. */
  readonly dependencies: Readonly<Record<string, string>>;
  /** Whether its files say that it is this plugin, and not another package of its name. */
  readonly isThisPlugin: boolean;
  /** Whether the files that OpenCode loads are there. */
  readonly isBuilt: boolean;
}

/** The package in a folder; null where there is no package.json that can be read. */
export function packageIn(folder: string): InstalledPackage | null {
  const manifest = readManifest(folder);
  if (manifest === null) return null;
  const { name, version, dependencies, exports, bin } = manifest;
  return {
    root: realPath(folder),
    name: typeof name === "string" ? name : null,
    version: typeof version === "string" ? version : null,
    dependencies: strings(dependencies),
    isThisPlugin:
      name === PACKAGE_NAME && hasKey(bin, PACKAGE_NAME) && hasKey(exports, "./server") && hasKey(exports, SCHEMA),
    isBuilt: ["index.js", "cli/main.js"].every((file) => isFile(join(folder, "dist", file))),
  };
}

/** The package that a file or folder belongs to: the nearest one around it. */
export function packageAround(path: string): InstalledPackage | null {
  for (let at = path; ; at = dirname(at)) {
    const found = packageIn(at);
    if (found !== null) return found;
    if (at === dirname(at)) return null;
  }
}

/** The package that this code is part of. */
export const ownPackage = (): InstalledPackage | null => packageAround(dirname(fileURLToPath(import.meta.url)));

/** A dependency as a package finds it: in its own node_modules, or in those of the folders around it. */
export function dependencyOf(root: string, name: string): InstalledPackage | null {
  for (let at = root; ; at = dirname(at)) {
    const found = packageIn(join(at, "node_modules", name));
    if (found !== null) return found;
    if (at === dirname(at)) return null;
  }
}

/** Of the packages of the plugin's name, only this one has it. */
const SCHEMA = "./parallel-agents.schema.json";

function readManifest(folder: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

export const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

const hasKey = (value: unknown, key: string): boolean =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key);

const strings = (value: unknown): Record<string, string> =>
  typeof value === "object" && value !== null
    ? Object.fromEntries(
        Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
      )
    : {};

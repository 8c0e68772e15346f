import { posix } from "node:path";

/*
 * Scripts that npm and Composer run on their own when packages are installed.
 * @source npm's documentation, "scripts", life cycle; Composer's, "Scripts", event names
 */
const INSTALL_SCRIPTS = [
  ...["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"],
  ...["pre-install-cmd", "post-install-cmd", "pre-update-cmd", "post-update-cmd", "pre-autoload-dump"],
  ...["post-autoload-dump", "post-root-package-install", "post-create-project-cmd"],
];

/** Package files read at most, and the size of one. */
export const MAX_PACKAGES = 50;
export const MAX_PACKAGE_BYTES = 1024 * 1024;

export const TOO_MANY_PACKAGES =
  "installing packages may run its scripts, which were not read because there are too many such files";

export const isPackage = (path: string): boolean =>
  ["package.json", "composer.json"].includes(posix.basename(path).toLowerCase());

/**
 * The scripts that an installation would run and did not run before, as a clause that follows the file's name; null = none.
 * @param before null = there was no such file
 * @param now null = the file cannot be read, by us or by anything else
 */
export function whatInstalls(before: Buffer | null, now: Buffer | null): string | null {
  const [old, own] = [scriptsIn(before), scriptsIn(now)];
  const changed = INSTALL_SCRIPTS.filter(
    (name) => own[name] !== undefined && JSON.stringify(own[name]) !== JSON.stringify(old[name]),
  );
  return changed.length === 0 ? null : `installing packages runs its scripts: ${changed.join(", ")}`;
}

function scriptsIn(content: Buffer | null): Record<string, unknown> {
  try {
    const { scripts } = JSON.parse((content?.toString("utf8") ?? "").replace(/^\uFEFF/, ""));
    return typeof scripts === "object" && scripts !== null ? scripts : {};
  } catch {
    return {}; // no package manager can parse it either
  }
}

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

/** Said of a file that was not read: there are too many, or it is too large, or a link. */
export const UNREAD_PACKAGE = "installing packages may run its scripts, which were not read";

export const isPackage = (path: string): boolean =>
  ["package.json", "composer.json"].includes(posix.basename(path).toLowerCase());

/**
 * The scripts that an installation would run and did not run before, as a clause that follows the file's name; null = none.
 * @param before null = there was no such file
 */
export function whatInstalls(before: Buffer | null, now: Buffer): string | null {
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

import { posix } from "node:path";

/*
 * Scripts that installing packages runs unasked, npm's and Composer's: both name them in one way.
 * @source npm's documentation, "scripts", life cycle; Composer's, "Scripts", event names
 */
const INSTALL_SCRIPTS = [
  ...["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"],
  ...["pre-install-cmd", "post-install-cmd", "pre-update-cmd", "post-update-cmd", "pre-autoload-dump"],
  ...["post-autoload-dump", "post-root-package-install", "post-create-project-cmd"],
];

/** Package files that are read, and bytes of one. */
export const MAX_PACKAGES = 50;
export const MAX_PACKAGE_BYTES = 1024 * 1024;

export const TOO_MANY_PACKAGES = "installing packages runs its scripts, which were not read: there are too many";

export const isPackage = (path: string): boolean =>
  ["package.json", "composer.json"].includes(posix.basename(path).toLowerCase());

/**
 * What a package's file has installing run that it did not before, in words after its name; null = nothing.
 * @param now null = it cannot be read, and so nothing reads it
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
    return {}; // nothing reads it either
  }
}

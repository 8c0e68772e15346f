import { PluginError } from "../../shared/error-code.ts";
import { formatSize, toText } from "../paths.ts";
import type { Listing } from "./list-project.ts";

export interface CaptureLimits {
  readonly bytes: number;
  readonly files: number;
}

const NAMED = 5;

/** @throws PluginError `workspace_failed`, which says what would make the project smaller */
export function refuseTooLarge(
  { paths, sizes, index, nested }: Listing,
  limits: CaptureLimits,
  { root, isRepository }: { readonly root: string; readonly isRepository: boolean },
): void {
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (total <= limits.bytes && paths.length <= limits.files) return;
  const largest = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, NAMED);
  const kindOf = (path: string): string => {
    if (!isRepository) return "";
    if (nested.some((one) => path.startsWith(one))) return ", in a nested repository";
    return index.has(path) ? ", tracked by git" : ", not tracked";
  };
  const named = largest.map(([path, size]) => `${toText(path)} (${formatSize(size)}${kindOf(path)})`);
  const advice = isRepository
    ? 'Add what git does not track to .gitignore. For what it tracks that has no effect: take it out of the repository as well (git rm --cached), or out of this working tree (git sparse-checkout). Or set the environment\'s "workspace" to "empty", and have its "setup" clone what jobs need, or a volume hold it.'
    : 'Add what jobs do not need to .gitignore, or set the environment\'s "workspace" to "empty".';
  throw new PluginError(
    "workspace_failed",
    `The project ${root} is too large for a sandbox: ${paths.length} files, ${formatSize(total)}; the limit is ${limits.files} files and ${formatSize(limits.bytes)}. Largest: ${named.join(", ")}. ${advice}`,
    { retryable: false },
  );
}

import type { Isolation } from "./isolation.ts";
import type { CopyResult } from "./tree-copy.ts";

/** Copies a sandbox's files. @param begin to be called when its turn has come */
export type Fill = (begin: () => void, signal: AbortSignal) => Promise<CopyResult>;

/**
 * Opens the isolation of a new sandbox while its directories are filled, from the moment when it is its turn to be copied: of
 * many sandboxes that are made at once the first are to be ready early. When either fails, the other is ended, and nothing is
 * written and nothing runs any more.
 * @param open what it resolves with may wait for `filled`
 * @throws what failed first
 */
export async function openWhileFilling<Opened extends { readonly isolation: Isolation }>(
  fill: Fill,
  open: (filled: Promise<unknown>) => Promise<Opened>,
  signal: AbortSignal | undefined,
): Promise<{ readonly opened: Opened; readonly copied: CopyResult }> {
  const unneeded = new AbortController();
  const begun = Promise.withResolvers<void>();
  const filled = fill(begun.resolve, AbortSignal.any([unneeded.signal, ...(signal ? [signal] : [])]));
  const opening = Promise.race([begun.promise, filled]).then(() => open(filled));
  try {
    const [opened, copied] = await Promise.all([opening, filled]);
    return { opened, copied };
  } catch (error) {
    unneeded.abort();
    await filled.catch(() => {});
    await opening.then(
      ({ isolation }) => isolation.close(null),
      () => {},
    );
    throw error;
  }
}

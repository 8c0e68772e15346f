/** What a tree uses of its file system. Files with several names count once. */
export interface TreeSize {
  readonly bytes: number;
  /** Everything that uses an inode: files, folders, links, pipes. */
  readonly files: number;
}

/**
 * Prints of each directory among `$@` its place, its kibibytes and its number of inodes. A job may delete files while they are
 * counted, so complaints are not failures; only a missing number is. Without `du --inodes` (busybox) each name counts as a file.
 */
export const MEASURE = `
n=0
for tree; do
  echo "$n kibibytes $(du -sk -- "$tree" 2>/dev/null)"
  echo "$n files $(du -s --inodes -- "$tree" 2>/dev/null || find "$tree" -print0 2>/dev/null | tr -dc '\\000' | wc -c)"
  n=$((n + 1))
done`;

/** @param count of the directories @returns their sizes in the same order; null = it was not measured */
export function parseMeasures(output: string, count: number): readonly (TreeSize | null)[] {
  return Array.from({ length: count }, (_, at) => {
    const [, kibibytes] = new RegExp(`^${at} kibibytes (\\d+)`, "m").exec(output) ?? [];
    const [, files] = new RegExp(`^${at} files (\\d+)`, "m").exec(output) ?? [];
    return kibibytes === undefined || files === undefined
      ? null
      : { bytes: Number(kibibytes) * 1024, files: Number(files) };
  });
}

/** @throws Error when one was not measured */
export function addSizes(sizes: readonly (TreeSize | null)[]): TreeSize {
  const measured = sizes.filter((size) => size !== null);
  if (measured.length < sizes.length) throw new Error("its files could not be counted");
  return {
    bytes: measured.reduce((sum, { bytes }) => sum + bytes, 0),
    files: measured.reduce((sum, { files }) => sum + files, 0),
  };
}

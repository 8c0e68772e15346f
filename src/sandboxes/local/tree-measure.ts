/** What a tree uses of its file system. Files with several names count once. */
export interface TreeSize {
  readonly bytes: number;
  /** Everything that uses an inode: files, folders, links, pipes. */
  readonly files: number;
}

/**
 * Prints the kibibytes and the number of inodes of directory `$1`. A job may delete files while they are counted, so
 * complaints are not failures; only a missing number is. Without `du --inodes` (busybox) each name counts as a file.
 */
export const MEASURE = `
echo "kibibytes $(du -sk -- "$1" 2>/dev/null)"
echo "files $(du -s --inodes -- "$1" 2>/dev/null || find "$1" -print0 2>/dev/null | tr -dc '\\000' | wc -c)"`;

/** @throws Error when the tree was not measured */
export function parseMeasure(output: string): TreeSize {
  const [, kibibytes] = /^kibibytes (\d+)/m.exec(output) ?? [];
  const [, files] = /^files (\d+)/m.exec(output) ?? [];
  if (kibibytes === undefined || files === undefined) throw new Error("its files could not be counted");
  return { bytes: Number(kibibytes) * 1024, files: Number(files) };
}

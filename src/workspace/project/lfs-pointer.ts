/** It takes a file that only begins like a pointer for content. */
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/\S+\n(?:ext-\S+ \S+\n)*oid sha256:[\da-f]+\nsize \d+\n$/;

/** A pointer is smaller. */
export const LFS_POINTER_BYTES = 1024;

/** Whether this is what Git LFS records in place of a file. @source Git LFS specification */
export const isLfsPointer = (text: string): boolean => POINTER.test(text);

/** @source Linux: PATH_MAX without its final NUL, and NAME_MAX of all usual file systems; bytes */
const LONGEST_PATH = 4_095;
const LONGEST_NAME = 255;

/** Why no file can have this path, for a sentence that begins with the path's name; null: one can. */
export function whyImpossible(path: string): string | null {
  if (path.includes("\0"))
    return `contains a NUL character (at position ${path.indexOf("\0")}), which no path can have`;
  if (LONE_SURROGATE.test(path)) return "contains half a character (a lone surrogate), which no path can have";
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_PATH) return `is ${bytes} bytes long, and no path is longer than ${LONGEST_PATH}`;
  const name = path.split("/").find((one) => Buffer.byteLength(one) > LONGEST_NAME);
  if (name === undefined) return null;
  return `contains a name of ${Buffer.byteLength(name)} bytes, and no name is longer than ${LONGEST_NAME}`;
}

// Without the flag `u`, with which Bun 1.3 misses some.
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

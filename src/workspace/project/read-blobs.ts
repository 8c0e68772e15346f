import type { ProjectStore } from "./project-store.ts";

/**
 * Reads blobs that are small enough, in two runs of git.
 * @returns contents by object name; larger, missing and other objects are not among them
 */
export async function readBlobs(
  store: ProjectStore,
  oids: readonly string[],
  maxBytes: number,
  env: Readonly<Record<string, string>> = {},
): Promise<ReadonlyMap<string, Buffer>> {
  const ask = (how: string, names: readonly string[]) =>
    store.run(["cat-file", how], {
      env,
      isUntrusted: true,
      input: Buffer.from(names.map((one) => `${one}\n`).join("")),
    });
  const found = new Map<string, Buffer>();
  if (oids.length === 0) return found;
  const sizes = (await ask("--batch-check", [...new Set(oids)])).toString("latin1").split("\n");
  const small = sizes.flatMap((line) => {
    const [oid = "", type, size] = line.split(" ");
    return type === "blob" && Number(size) <= maxBytes ? [oid] : [];
  });
  if (small.length === 0) return found;
  const output = await ask("--batch", small);
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(10, at);
    const [oid = "", type, size] = output.subarray(at, end).toString("latin1").split(" ");
    if (end < 0 || type !== "blob") break; // it was there a moment ago
    at = end + 1 + Number(size) + 1;
    found.set(oid, output.subarray(end + 1, at - 1));
  }
  return found;
}

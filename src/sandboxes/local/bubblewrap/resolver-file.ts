import { chmodSync } from "node:fs";
import { join } from "node:path";
import { ensurePrivateFolder, writePrivateFile } from "../../../shared/private-files.ts";
import { type Resolver, resolvConf } from "./root-filesystem.ts";

/** The resolv.conf of one sandbox, which changes as the host moves to another network. */
export interface ResolverFile {
  /** The folder that it is in. Mounted as a whole, as a file that was mounted would stay when another takes its place. */
  readonly folder: string;
  /** Writes it if it is another by now. */
  follow(): Promise<void>;
}

export function createResolverFile(folder: string, resolver: () => Promise<Resolver>): ResolverFile {
  let written: string | null = null;
  return {
    folder,
    async follow() {
      const text = resolvConf(await resolver());
      if (text === written) return;
      ensurePrivateFolder(folder);
      const path = join(folder, "resolv.conf");
      writePrivateFile(path, text);
      chmodSync(path, 0o644);
      written = text;
    },
  };
}

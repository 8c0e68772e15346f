import { chmodSync } from "node:fs";
import { join } from "node:path";
import { ensurePrivateFolder, writePrivateFile } from "../../../shared/private-files.ts";
import type { SandboxDirs } from "../layout.ts";
import { type Resolver, resolvConf } from "./root-filesystem.ts";

/** The resolv.conf of one sandbox, which changes as the host moves to another network. */
export interface ResolverFile {
  /** Writes it if it is another by now. @param folder where its folder is now, which is made if need be */
  follow(folder: string): Promise<void>;
}

/** The folder of a sandbox's directory that it is in. Mounted as a whole, as a file that was mounted would stay when another takes its place. */
export const resolverFolder = ({ root }: SandboxDirs): string => join(root, "resolver");

export function createResolverFile(resolver: () => Promise<Resolver>): ResolverFile {
  let written: string | null = null;
  return {
    async follow(folder) {
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

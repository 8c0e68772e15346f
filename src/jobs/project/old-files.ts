import { posix } from "node:path";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";

/** The files of a job's sandbox while what has changed in its project since is on its way to it. */
export interface OldFiles {
  /** @returns null where they began to be changed meanwhile: what was read may be neither old nor new */
  read<T>(use: (sandbox: Sandbox) => Promise<T>): Promise<T | null>;
  /** Whether the file at this path is known to stay as it is. Never rejects. */
  stays(path: string): Promise<boolean>;
}

interface OldFilesRequest {
  readonly sandbox: Sandbox;
  readonly store: ProjectStore;
  /** The commit that its files are of, and the one that they are brought to. */
  readonly from: string;
  readonly to: string;
}

/** `close` is called before they are changed. It waits for no reader, so that none can hold the job's files up. */
export function openOldFiles(request: OldFilesRequest): { readonly files: OldFiles; close(): void } {
  let isOpen = true;
  return {
    files: {
      async read(use) {
        if (!isOpen) return null;
        const found = await use(request.sandbox);
        return isOpen ? found : null;
      },
      stays: (path) => stays(request, path).catch(() => false),
    },
    close() {
      isOpen = false;
    },
  };
}

/**
 * Only of a regular file that both commits have is this known: git puts it at its path without following links, whereas a
 * link that git does not know may lead to any file.
 */
async function stays({ sandbox, store, from, to }: OldFilesRequest, path: string): Promise<boolean> {
  if (path.split("/").includes("..")) return false; // behind a link it leads elsewhere
  const inside = posix.relative(sandbox.workdir, posix.resolve(sandbox.workdir, path));
  if (inside === "" || inside.startsWith("..")) return false;
  const entryOf = async (commit: string) =>
    (await store.run(["--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", inside])).toString("latin1");
  const entry = await entryOf(from);
  return /^100(644|755) blob /.test(entry) && entry === (await entryOf(to));
}

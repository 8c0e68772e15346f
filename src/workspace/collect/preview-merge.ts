import { GitError } from "../git-error.ts";
import { splitRecords, toText } from "../paths.ts";
import { captureTree, type TreeBase } from "../project/capture-tree.ts";
import { type Identity, identityEnv } from "../project/identity.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { BuiltCommits } from "./build-commits.ts";

/** Whether a job's changes merge into the project as it is now. */
export type MergePreview =
  | { readonly kind: "clean" }
  | { readonly kind: "conflicts"; readonly paths: readonly string[] }
  /** `why` follows a colon. */
  | { readonly kind: "unknown"; readonly why: string };

/** What a git says to arguments that it does not know. */
const USAGE = 129;

/**
 * Merges in our own store and discards the result. Never rejects: the branch or patch is there already, and what cannot be
 * told of the project, such as where it has grown too large to be taken, must not hide that.
 */
export async function previewMerge(...args: Parameters<typeof merge>): Promise<MergePreview> {
  try {
    return await merge(...args);
  } catch (error) {
    if (error instanceof GitError && error.code === USAGE) return { kind: "unknown", why: "that takes git 2.38" };
    return { kind: "unknown", why: (error instanceof Error ? error.message : String(error)).replace(/\.$/, "") };
  }
}

/** @throws GitError, PluginError `workspace_failed` */
async function merge(
  store: ProjectStore,
  base: TreeBase,
  built: Pick<BuiltCommits, "tree" | "env">,
  { scratchID, identity }: { readonly scratchID: string; readonly identity: Identity },
): Promise<MergePreview> {
  const env = { ...built.env, ...identityEnv(identity) };
  const commit = async (tree: string, ...parents: string[]) => {
    const args = ["commit-tree", "-m", "preview", tree, ...parents.flatMap((one) => ["-p", one])];
    return (await store.run(args, { env })).toString().trim();
  };
  const now = await captureTree(store, scratchID);
  const common = await commit(base.tree);
  const [ours, theirs] = [await commit(now.tree, common), await commit(built.tree, common)];
  // Streamed, because with conflicts git exits with 1 and the output names them.
  const how = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs];
  const parts: Buffer[] = [];
  try {
    for await (const chunk of store.stream(how, { env, isUntrusted: true })) parts.push(chunk);
    return { kind: "clean" };
  } catch (error) {
    if (!(error instanceof GitError && error.code === 1)) throw error;
    const [, ...paths] = splitRecords(Buffer.concat(parts));
    return { kind: "conflicts", paths: paths.filter((path) => path !== "").map(toText) };
  }
}

import { hierarchy, tree } from "d3-hierarchy";

export interface Member {
  readonly id: string;
  /** The one it was made from. */
  readonly parent?: string | undefined;
  /** USD. */
  readonly usd: number;
}

export interface TreeNode {
  readonly id: string;
  readonly parent: string | null;
  readonly depth: number;
  readonly x: number;
  readonly y: number;
  /** Of it and all that was made from it. */
  readonly usd: number;
  readonly size: number;
}

export interface Lineage {
  /** Families of more than one, each node before those made from it. */
  readonly nodes: readonly TreeNode[];
  /** Those that nothing was made from, and that were made from none. */
  readonly single: number;
  /** Members of families beyond the most that are drawn. */
  readonly left: number;
}

interface Branch {
  readonly id: string | null;
  readonly usd: number;
  readonly children: Branch[];
}

/** Tells which was made from which. The largest families come first; a circle, which no history has, is cut open. */
export function toLineage(
  members: readonly Member[],
  { most, across, down }: { readonly most: number; readonly across: number; readonly down: number },
): Lineage {
  const branches = new Map(members.map(({ id, usd }): [string, Branch] => [id, { id, usd, children: [] }]));
  const parents = new Map(members.map(({ id, parent }) => [id, parent]));
  const roots: Branch[] = [];
  for (const [id, branch] of branches) {
    const parent = branches.get(parents.get(id) ?? "");
    if (parent && !isCircle(id, parents)) parent.children.push(branch);
    else {
      parents.delete(id); // what follows sees the circle cut open
      roots.push(branch);
    }
  }
  const families = roots
    .map((branch) => ({ branch, size: hierarchy(branch).descendants().length }))
    .sort((a, b) => b.size - a.size);
  const shown: Branch[] = [];
  let [room, single, left] = [most, 0, 0];
  for (const { branch, size } of families) {
    if (size === 1) single++;
    else if (size <= room) {
      shown.push(branch);
      room -= size;
    } else left += size;
  }
  const root = hierarchy<Branch>({ id: null, usd: 0, children: shown });
  const sizes = new Map<unknown, { usd: number; size: number }>();
  root.eachAfter((node) => {
    const sum = { usd: node.data.usd, size: 1 };
    for (const child of node.children ?? []) {
      const of = sizes.get(child);
      sum.usd += of?.usd ?? 0;
      sum.size += of?.size ?? 0;
    }
    sizes.set(node, sum);
  });
  const nodes: TreeNode[] = [];
  tree<Branch>()
    .nodeSize([down, across])(root)
    .eachBefore((node) => {
      if (node.data.id === null) return;
      const { usd, size } = sizes.get(node) ?? { usd: 0, size: 1 };
      // The tree grows to the right.
      const parent = node.parent?.data.id ?? null;
      nodes.push({ id: node.data.id, parent, depth: node.depth - 1, x: node.y - across, y: node.x, usd, size });
    });
  const top = nodes.reduce((least, { y }) => Math.min(least, y), Number.POSITIVE_INFINITY);
  return { nodes: nodes.map((node) => ({ ...node, y: node.y - top })), single, left };
}

/** Whether the line of `id` leads back to it. */
function isCircle(id: string, parents: ReadonlyMap<string, string | undefined>): boolean {
  const seen = new Set<string>();
  for (let at = parents.get(id); at !== undefined && !seen.has(at); at = parents.get(at)) {
    if (at === id) return true;
    seen.add(at);
  }
  return false;
}

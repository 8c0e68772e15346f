/** Where a path of a tree leads when its links are followed, name by name, as the kernel does. */
export interface Way {
  /** The links on the way, in order. */
  readonly links: readonly string[];
  /** Path without links; null = it leaves the tree, or never ends. The place itself may not exist. */
  readonly end: string | null;
}

/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * @param targetOf what the link at a path contains; undefined = there is no link
 * @param workdir absolute path at which the tree lies, in which an absolute target stays in the tree
 */
export function followPath(path: string, targetOf: (path: string) => string | undefined, workdir: string): Way {
  const links: string[] = [];
  let rest = path.split("/");
  const done: string[] = [];
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (done.pop() === undefined) return { links, end: null };
      continue;
    }
    const here = [...done, name].join("/");
    const target = targetOf(here);
    if (target === undefined) {
      done.push(name);
      continue;
    }
    links.push(here);
    if (links.length > MAX_LINKS) return { links, end: null };
    if (target.startsWith("/")) {
      const inside = `${target}/`.startsWith(`${workdir}/`) ? target.slice(workdir.length) : null;
      if (inside === null) return { links, end: null };
      done.length = 0;
      rest = [...inside.split("/"), ...rest];
    } else rest = [...target.split("/"), ...rest];
  }
  return { links, end: done.join("/") };
}

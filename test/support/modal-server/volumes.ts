import { type FSWatcher, watch } from "node:fs";
import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Mount } from "./machine.ts";
import { copyTree, removeTree } from "./root-tree.ts";
import { runTool } from "./run-tool.ts";

/*
 * Volumes as on Modal: a sandbox sees one as it was when it was mounted or last reloaded, with its own writes. Others see
 * these after a commit, and a reload of their own. Each sandbox has a copy, and the committed state is a directory.
 */

/** What every path of a tree is; equal for two paths with the same content. */
type State = ReadonlyMap<string, string>;

const TOOL_PATH = "/__modal/volumes";

/** Stands for `sync`, whose real work the server does: it is asked by a file, and answers by one. */
const SYNC = `#!/bin/sh
ask=${TOOL_PATH}/asks/$$
for path do case $path in -*) ;; *) readlink -f -- "$path" ;; esac; done > $ask.new
mv $ask.new $ask.ask
while ! [ -e $ask.done ]; do sleep 0.02; done
rm -f $ask.done
`;

/** One volume in one sandbox, wherever it is mounted there. */
export class VolumeCopy {
  readonly volumeId: string;
  readonly version: number;
  readonly copy: string;
  readonly paths: string[] = [];
  readonly #committed: string;
  readonly #turns: Turns;
  #base: State = new Map();

  constructor(
    volumeId: string,
    version: number,
    { committed, copy, turns }: { committed: string; copy: string; turns: Turns },
  ) {
    this.volumeId = volumeId;
    this.version = version;
    this.#committed = committed;
    this.copy = copy;
    this.#turns = turns;
  }

  mount = (): Promise<void> =>
    this.#turns.take(this.volumeId, async () => {
      await mkdir(this.#committed, { recursive: true });
      await copyTree(this.#committed, this.copy);
      this.#base = await stateOf(this.copy);
    });

  /** Shows its writes to others. A file that another sandbox has committed meanwhile is replaced. */
  commit = (): Promise<void> =>
    this.#turns.take(this.volumeId, async () => {
      const own = await stateOf(this.copy);
      await apply(changesOf(this.#base, own), this.copy, this.#committed);
      this.#base = own;
    });

  /** Shows others' commits here, but not over own writes. */
  reload = (): Promise<void> =>
    this.#turns.take(this.volumeId, async () => {
      const [own, others] = [await stateOf(this.copy), await stateOf(this.#committed)];
      const written = new Set(changesOf(this.#base, own));
      const fresh = changesOf(own, others).filter((path) => !written.has(path));
      await apply(fresh, this.#committed, this.copy);
      const base = new Map(others);
      for (const path of written) {
        const before = this.#base.get(path);
        if (before === undefined) base.delete(path);
        else base.set(path, before);
      }
      this.#base = base;
    });
}

/** Work on a volume, one piece at a time. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  take(volumeId: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#last.get(volumeId) ?? Promise.resolve()).then(work);
    this.#last.set(
      volumeId,
      turn.catch(() => {}),
    );
    return turn;
  }
}

/** Has `sync` of a sandbox commit its volumes of version 2. */
export class SyncTool {
  readonly mount: Mount;
  readonly #copies: readonly VolumeCopy[];
  #watcher: FSWatcher | null = null;

  constructor(folder: string, copies: readonly VolumeCopy[]) {
    this.mount = { path: TOOL_PATH, host: folder, readOnly: false, hasPrograms: true };
    this.#copies = copies;
  }

  async start(): Promise<void> {
    const asks = join(this.mount.host, "asks");
    await mkdir(asks, { recursive: true });
    await writeFile(join(this.mount.host, "sync"), SYNC);
    await chmod(join(this.mount.host, "sync"), 0o755);
    this.#watcher = watch(asks, (_, name) => {
      if (name?.endsWith(".ask")) void this.#answer(join(asks, name.slice(0, -4))).catch(() => {});
    });
  }

  stop(): void {
    this.#watcher?.close();
  }

  async #answer(ask: string): Promise<void> {
    const asked = (await readFile(`${ask}.ask`, "utf8")).split("\n").filter((path) => path !== "");
    await rm(`${ask}.ask`);
    const isMeant = ({ paths }: VolumeCopy) =>
      asked.length === 0 || paths.some((mount) => asked.some((path) => isBelow(path, mount)));
    for (const each of this.#copies) if (each.version === 2 && isMeant(each)) await each.commit();
    await writeFile(`${ask}.done`, "");
  }
}

export const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Paths that are not the same in both, folders before what is in them. */
const changesOf = (before: State, after: State): string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path)).sort();

async function stateOf(root: string): Promise<State> {
  const state = new Map<string, string>();
  const walk = async (folder: string): Promise<void> => {
    for (const name of await readdir(join(root, folder)).catch(() => [])) {
      const path = join(folder, name);
      const found = await lstat(join(root, path), { bigint: true }).catch(() => null);
      if (found === null) continue; // it was deleted meanwhile
      if (found.isDirectory()) state.set(path, `folder ${found.mode}`);
      else if (found.isSymbolicLink()) state.set(path, `link ${await readlink(join(root, path))}`);
      else state.set(path, `file ${found.mode} ${found.size} ${found.mtimeNs}`);
      if (found.isDirectory()) await walk(path);
    }
  };
  await walk("");
  return state;
}

/** Makes the paths in `to` what they are in `from`. */
async function apply(paths: readonly string[], from: string, to: string): Promise<void> {
  const gone: string[] = [];
  for (const path of paths) {
    const [source, target] = [join(from, path), join(to, path)];
    const [wanted, found] = [await lstat(source).catch(() => null), await lstat(target).catch(() => null)];
    if (wanted === null) gone.push(target);
    else if (wanted.isDirectory()) {
      if (found && !found.isDirectory()) await rm(target);
      await mkdir(target, { recursive: true });
      await chmod(target, wanted.mode & 0o7777);
    } else {
      if (found?.isDirectory()) await removeTree(target);
      await mkdir(dirname(target), { recursive: true });
      await runTool("cp", ["-a", "--remove-destination", source, target], [0, 1]);
    }
  }
  // From the bottom up; a folder in which others have files stays.
  for (const target of gone.reverse()) await rm(target).catch(() => runTool("rmdir", [target], [0, 1]));
}

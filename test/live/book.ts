import type { SandboxProvider } from "../../src/sandboxes/port.ts";

/** What the providers of a run have made, so that all of it can be undone and told. */
export interface Book {
  open(): SandboxProvider;
  /** Ends and removes everything there is. @returns what could not be */
  clear(): Promise<string[]>;
  words(): string;
}

export function bookOf(create: () => SandboxProvider): Book {
  const sandboxes = new Set<string>();
  const snapshots = new Set<string>();
  return {
    open() {
      const provider = create();
      const store = provider.snapshots;
      return {
        name: provider.name,
        lent: provider.lent,
        async create(spec, signal) {
          const sandbox = await provider.create(spec, signal);
          sandboxes.add(sandbox.id);
          return sandbox;
        },
        attach: (id, env) => provider.attach(id, env),
        terminate: (id) => provider.terminate(id),
        list: () => provider.list(),
        close: () => provider.close(),
        snapshots: store && {
          async take(sandbox, path) {
            const snapshot = await store.take(sandbox, path);
            snapshots.add(snapshot.id);
            return snapshot;
          },
          remove: (id) => store.remove(id),
          orphans: () => store.orphans(),
        },
      };
    },
    async clear() {
      const provider = create();
      const failures: string[] = [];
      const end = (id: string, work: Promise<void> | undefined) =>
        work?.catch((error: Error) => void failures.push(`${id} (${error.message})`));
      try {
        // Those whose creation was given up are in the listing only.
        for (const { id } of await provider.list()) sandboxes.add(id);
        await Promise.all([...sandboxes].map((id) => end(id, provider.terminate(id))));
        await Promise.all([...snapshots].map((id) => end(id, provider.snapshots?.remove(id))));
        return [...failures, ...(await provider.list()).map(({ id }) => id)];
      } finally {
        await provider.close();
      }
    },
    words: () =>
      `${sandboxes.size} sandboxes (${[...sandboxes].join(", ")}), ${snapshots.size} snapshots (${[...snapshots].join(", ")})`,
  };
}

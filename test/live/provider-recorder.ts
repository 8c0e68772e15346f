import type { SandboxProvider } from "../../src/sandboxes/port.ts";

/** Records what the providers of a run create, so that all of it can be removed and reported. */
export interface ProviderRecorder {
  open(): SandboxProvider;
  /** Terminates every sandbox and removes every snapshot. Returns those that are left, with the reason. */
  removeAll(): Promise<string[]>;
  /** What was created, in words. */
  describe(): string;
}

export function createProviderRecorder(create: () => SandboxProvider): ProviderRecorder {
  const sandboxes = new Set<string>();
  const snapshots = new Set<string>();
  return {
    open() {
      const provider = create();
      const store = provider.snapshots;
      return {
        name: provider.name,
        place: provider.place,
        lent: provider.lent,
        prices: provider.prices,
        hasEnded: provider.hasEnded,
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
          derives: (id) => store.derives(id),
          async keep(sandbox) {
            const snapshot = await store.keep(sandbox);
            snapshots.add(snapshot.id);
            return snapshot;
          },
          retire: (sandbox, on) => store.retire(sandbox, on),
          freeze: store.freeze,
          async take(sandbox, path) {
            const snapshot = await store.take(sandbox, path);
            snapshots.add(snapshot.id);
            return snapshot;
          },
          remove: (id) => store.remove(id),
          ofLost: (id) => store.ofLost(id),
          orphans: () => store.orphans(),
        },
      };
    },
    async removeAll() {
      const provider = create();
      const failures: string[] = [];
      const collectFailure = (id: string, work: Promise<void> | undefined) =>
        work?.catch((error: Error) => void failures.push(`${id} (${error.message})`));
      try {
        // A sandbox whose creation was abandoned is in the listing only.
        for (const { id } of await provider.list()) sandboxes.add(id);
        await Promise.all([...sandboxes].map((id) => collectFailure(id, provider.terminate(id))));
        await Promise.all([...snapshots].map((id) => collectFailure(id, provider.snapshots?.remove(id))));
        return [...failures, ...(await provider.list()).map(({ id }) => id)];
      } finally {
        await provider.close();
      }
    },
    describe: () =>
      `${sandboxes.size} sandboxes (${[...sandboxes].join(", ")}), ${snapshots.size} snapshots (${[...snapshots].join(", ")})`,
  };
}

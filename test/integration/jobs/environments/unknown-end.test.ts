import { expect } from "bun:test";
import { join } from "node:path";
import type { Sandbox, SandboxProcess, SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { localProvider } from "../../../contract/local-support.ts";
import { sandboxTest } from "../../../support/sandboxes.ts";
import { createWorld, openProcess, over } from "./environment-world.ts";

const SETUP = "echo run >>tries; cat tries >made";

/** A provider that loses sight of the set-up's command in its first sandbox: it runs on, and nobody learns how it ends. */
function losingFirstSetup(real: SandboxProvider): SandboxProvider {
  let lost = 0;
  const snapshots = real.snapshots as NonNullable<SandboxProvider["snapshots"]>;
  const originals = new WeakMap<Sandbox, Sandbox>();
  return over(real, {
    async create(spec, signal, onStep) {
      const sandbox = await real.create(spec, signal, onStep);
      const losing = over(sandbox, {
        async start(request) {
          const process = await sandbox.start(request);
          if (!request.argv.includes(SETUP) || lost++ > 0) return process;
          const exit: SandboxProcess["exit"] = Promise.resolve({ kind: "unknown", reason: "it could not be asked" });
          return over(process, { output: (async function* () {})(), exit });
        },
      });
      originals.set(losing, sandbox);
      return losing;
    },
    snapshots: over(snapshots, {
      take: (sandbox, ...rest) => snapshots.take(originals.get(sandbox) ?? sandbox, ...rest),
    }),
  });
}

sandboxTest("a set-up whose command ended in a way that is not known is tried again, in another sandbox", async () => {
  const world = createWorld();
  const provider = losingFirstSetup(localProvider(join(world.stateDir, "local")));
  const one = await openProcess(world, { environment: { setup: SETUP }, provider });
  try {
    expect((await one.run("cat made")).output).toBe("run\n");
  } finally {
    await one.close();
    await provider.close();
    world.end();
  }
});

import { afterEach, describe, expect } from "bun:test";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { localProvider } from "../../../contract/local-support.ts";
import { runIn } from "../../../contract/workspace-support.ts";
import { sandboxTest } from "../../../support/sandboxes.ts";
import { createWorld, openProcess, over } from "./environment-world.ts";

/** A provider whose fresh sandboxes have a few programs only, in a folder that snapshots keep. */
function withFewPrograms(real: SandboxProvider): SandboxProvider {
  const originals = new WeakMap<Sandbox, Sandbox>();
  return over(real, {
    async create(spec, signal, onStep) {
      const sandbox = await real.create(spec, signal, onStep);
      const tools = "sh cat gzip tar xargs mkdir rm ls env";
      if (spec.snapshotID === null)
        await runIn(sandbox, `mkdir /tmp/bin; for tool in ${tools}; do ln -s "$(command -v "$tool")" /tmp/bin/; done`);
      const few = over(sandbox, {
        start: ({ argv, ...more }) => sandbox.start({ ...more, argv: ["/usr/bin/env", "PATH=/tmp/bin", ...argv] }),
      });
      originals.set(few, sandbox);
      return few;
    },
    snapshots: over(real.snapshots as NonNullable<SandboxProvider["snapshots"]>, {
      take: (sandbox, ...rest) => {
        const { snapshots } = real;
        if (!snapshots) throw new Error("it takes none");
        return snapshots.take(originals.get(sandbox) ?? sandbox, ...rest);
      },
    }),
  });
}

describe("an image without git", () => {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function start(setup: string) {
    const world = createWorld();
    closing.push(world.end);
    const provider = withFewPrograms(localProvider(join(world.stateDir, "local")));
    closing.push(() => provider.close());
    world.write("old.txt", "old\n");
    world.write("kept.txt", "kept\n");
    const one = await openProcess(world, { environment: { setup }, provider });
    closing.push(one.close);
    return { world, one };
  }

  sandboxTest("gets the project's later files over what set-up left, without those that are gone", async () => {
    const { world, one } = await start("mkdir -p made/empty; echo made > made/x");
    expect((await one.run("cat old.txt made/x")).output).toBe("old\nmade\n");
    world.remove("old.txt");
    world.write("new.txt", "new\n");
    const { output, notes } = await one.run("cat new.txt kept.txt made/x; ls -d made/empty; ls");
    expect(output).toBe("new\nkept\nmade\nmade/empty\nkept.txt\nmade\nnew.txt\n");
    expect(notes.join()).toContain("Its image has no git");
  });

  sandboxTest("in which set-up installs git has a repository, and what set-up made is nobody's work", async () => {
    const { world, one } = await start(
      "for tool in /usr/bin/*; do /usr/bin/ln -sf $tool /tmp/bin/; done; echo made > made",
    );
    const first = await one.run("git log --oneline | wc -l; git status --short; cat made");
    expect(first.output).toBe("1\nmade\n");
    expect(first.notes.join()).not.toContain("Its image has no git");
    world.remove("old.txt");
    expect((await one.run("git status --short; cat made; ls")).output).toBe("made\nkept.txt\nmade\n");
  });
});

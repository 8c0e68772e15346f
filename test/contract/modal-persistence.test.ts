import { afterAll, describe, expect } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { ModalProviderDeps } from "../../src/sandboxes/modal/provider-deps.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import { failsWith, modal, provider, specOf, untilNoneLeft } from "./modal-faults-support.ts";
import { MODAL_OPTIONS } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

const folder = mkdtempSync(join(tmpdir(), "modal-tars-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An image with a file of its own in the work directory. */
const machine = {
  ...DEFAULT_MACHINE,
  image: { base: null, dockerfile: ["RUN mkdir -p /workspace && echo x > /workspace/of-image"] },
};

const withPersistence = (
  persistence: "snapshot_filesystem" | "snapshot_directory" | "tar",
  more: Partial<ModalProviderDeps> = {},
): SandboxProvider =>
  provider({
    options: { ...MODAL_OPTIONS, persistence },
    tarFolder: join(folder, persistence),
    ...more,
  });

const keep = async (on: SandboxProvider, sandbox: Sandbox) => {
  const taken = await on.snapshots?.keep(sandbox);
  if (!taken) throw new Error("nothing was kept");
  return taken;
};

const WORK = `rm of-image; mkdir -p a/b empty .hidden; echo one > a/b/file; chmod 750 a/b/file; ln -s ../nowhere a/link; echo x > .hidden/y
printf 'odd' > "$(printf 'new\\nline and ümlaut')"; echo outside > /opt/outside`;
const SHOW = `find . | LC_ALL=C sort | tr '\\n' '|'; stat -c %a a/b/file; readlink a/link; cat a/b/file; ls /opt/outside 2>/dev/null || echo none`;

for (const persistence of ["snapshot_directory", "tar"] as const)
  describe(`with the persistence "${persistence}" a job's state`, () => {
    modalTest("is exactly its work directory, put into a sandbox of its recipe, and says what it lacks", async () => {
      const on = withPersistence(persistence);
      const source = await on.create(specOf({ machine }));
      expect((await sh(source, WORK)).stderr).toBe("");
      const before = (await sh(source, SHOW)).stdout;
      const taken = await keep(on, source);
      expect(taken).toMatchObject({ path: "/workspace", leftOut: [expect.stringContaining("/workspace")] });
      expect(taken.id.startsWith(persistence === "tar" ? "tar-" : "im-")).toBe(true);
      await source.terminate();
      const again = await on.create(specOf({ machine, snapshotID: taken.id }));
      expect((await sh(again, SHOW)).stdout).toBe(before.replace("/opt/outside", "none"));
      const next = await keep(on, again); // and once more, from the restored one
      await again.terminate();
      await on.snapshots?.remove(taken.id);
      const third = await on.create(specOf({ machine, snapshotID: next.id }));
      expect((await sh(third, SHOW)).stdout).toBe(before.replace("/opt/outside", "none"));
      await third.terminate();
    });

    modalTest("is its whole file system where its work directory belongs to the image", async () => {
      const on = withPersistence(persistence);
      const source = await on.create(specOf({ workdir: "/var/app" }));
      const taken = await keep(on, source);
      expect([taken.id.startsWith("im-"), taken.id.includes(":"), taken.path ?? null]).toEqual([true, false, null]);
      await source.terminate();
    });

    modalTest("leaves snapshots that are asked for whole", async () => {
      const on = withPersistence(persistence);
      const source = await on.create(specOf());
      await sh(source, "echo kept > /opt/outside");
      const taken = await on.snapshots?.take(source, null);
      await source.terminate();
      const again = await on.create(specOf({ snapshotID: taken?.id ?? "" }));
      expect((await sh(again, "cat /opt/outside")).stdout).toBe("kept\n");
      await again.terminate();
    });
  });

describe("a tar", () => {
  modalTest(
    "is the user's alone, is removed with its job's state, and is told as expired when it is gone",
    async () => {
      const on = withPersistence("tar");
      const tars = join(folder, "tar");
      for (const name of readdirSync(tars)) rmSync(join(tars, name));
      const source = await on.create(specOf());
      await sh(source, "echo x > note");
      const taken = await keep(on, source);
      await source.terminate();
      const [name = "", ...others] = readdirSync(tars);
      expect([others, statSync(join(tars, name)).mode & 0o777, statSync(tars).mode & 0o777]).toEqual([
        [],
        0o600,
        0o700,
      ]);
      expect(taken.sizeBytes).toBe(statSync(join(tars, name)).size);
      await on.snapshots?.remove(taken.id);
      await on.snapshots?.remove(taken.id);
      expect(readdirSync(tars)).toEqual([]);
      const creations = async () =>
        (await modal().calls()).filter(({ method }) => method.startsWith("SandboxCreate")).length;
      const before = await creations();
      expect(await failsWith(on.create(specOf({ snapshotID: taken.id })))).toMatchObject({ code: "snapshot_expired" });
      expect(await creations()).toBe(before);
    },
  );

  modalTest(
    "that grows too large fails and leaves nothing, as does one that cannot be written or is cut short",
    async () => {
      const on = withPersistence("tar", { tarLimitBytes: 200_000 });
      const source = await on.create(specOf());
      await sh(source, "head -c 300000 /dev/zero > big");
      const failure = await failsWith(keep(on, source));
      expect(failure).toMatchObject({ code: "snapshot_failed", retryable: false });
      for (const part of ["/workspace", "modal.persistence"]) expect(failure.message).toContain(part);
      await sh(source, "rm big; echo x > small");
      const tars = join(folder, "tar");
      expect(readdirSync(tars)).toEqual([]);
      const taken = await keep(on, source);
      truncateSync(join(tars, readdirSync(tars)[0] ?? ""), 600);
      expect(await failsWith(on.create(specOf({ snapshotID: taken.id })))).toMatchObject({
        code: "snapshot_expired",
      });
      await source.terminate();
      await untilNoneLeft();
    },
  );

  modalTest("with hostile names touches nothing on this machine, whatever the sandbox's tar is", async () => {
    const on = withPersistence("tar");
    const source = await on.create(specOf());
    const hostile =
      "#!/bin/sh\\necho '../../../../../../tmp/escaped' | /bin/tar.real -cPf - -T - 2>/dev/null; exit 0\\n";
    await sh(source, `echo bad > /tmp/escaped; printf "${hostile}" > /usr/local/bin/tar; chmod 755 /usr/local/bin/tar`);
    const taken = await keep(on, source).catch(() => null);
    await source.terminate();
    if (taken) await (await on.create(specOf({ snapshotID: taken.id })).catch(() => null))?.terminate();
    expect(readdirSync(tmpdir()).filter((name) => name === "escaped")).toEqual([]);
  });
});

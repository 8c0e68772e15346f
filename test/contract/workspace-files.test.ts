import { expect } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { parsePatterns } from "../../src/workspace/collect/select-files.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { pictureOf } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { base, collect, inSandbox, root, run, useProject, withPath } from "./files-support.ts";

/* Files of a job arrive unchanged, and only those that were asked for. */

useProject();

const FILES = `
git init -q 2>/dev/null || true; printf 'ignored/\\n' > .gitignore
mkdir -p ignored/deep 'odd näme' empty; printf 'a\\r\\nb' > ignored/deep/model.bin; : > nothing
head -c 3000000 /dev/urandom > ignored/random.bin; sha256sum ignored/random.bin > sum
printf 'x' > 'odd näme/new
line "q"'; printf 'y' > "$(printf 'latin\\351')"; printf z > -dash; printf s > 'star*[x]'; printf w > 'starry[x]'
echo run > run.sh; chmod 4777 run.sh; chmod 600 sum
ln -s run.sh inside; ln -s ../run.sh ignored/up; ln -s ./deep ignored/folder; ln ignored/deep/model.bin hard`;

sandboxTest("files arrive byte for byte, including ignored ones, with mode 0644 or 0755", () =>
  inSandbox(FILES, async (sandbox) => {
    const { folder, names, why } = await collect(sandbox);
    expect(why).toEqual({});
    expect(names).toContain('odd näme/new\nline "q"');
    expect(names.some((name) => /(^|\/)\.git(\/|$)/.test(name))).toBe(false);
    const inside = await sandbox.readFile("sum", { offset: 0, maxBytes: 100 });
    expect(readFileSync(join(folder, "sum"))).toEqual(Buffer.from(inside));
    const hash = new Bun.CryptoHasher("sha256").update(readFileSync(join(folder, "ignored/random.bin"))).digest("hex");
    expect(Buffer.from(inside).toString()).toStartWith(hash);
    for (const name of ["hard", "ignored/deep/model.bin"])
      expect(readFileSync(join(folder, name), "latin1")).toBe("a\r\nb");
    expect(readFileSync(join(folder, "nothing")).length).toBe(0);
    const picture = pictureOf(folder);
    expect([picture.get("inside"), picture.get("ignored/up"), picture.get("ignored/folder")]).toEqual([
      "link run.sh",
      "link ../run.sh",
      "link ./deep",
    ]);
    expect(picture.has("latin\xe9")).toBe(true);
    expect(picture.has("empty")).toBe(false);
    const mode = (name: string) => lstatSync(join(folder, name)).mode & 0o7777;
    expect([mode("run.sh"), mode("sum"), mode("ignored")]).toEqual([0o755, 0o644, 0o755]);
    expect(lstatSync(join(folder, "hard")).nlink).toBe(1);
  }),
);

sandboxTest(
  "patterns select files, a file name with wildcards matches itself, and a pattern without matches is reported",
  () =>
    inSandbox(FILES, async (sandbox) => {
      const named = async (...paths: string[]) => {
        const { names, unmatched } = await collect(sandbox, { paths });
        return [names.sort(), unmatched];
      };
      expect(await named("ignored/**/*.bin", "nowhere/*")).toEqual([
        ["ignored/deep/model.bin", "ignored/random.bin"],
        ["nowhere/*"],
      ]);
      expect(await named("star*[x]")).toEqual([["star*[x]", "starry[x]"], []]);
      expect(await named("/workspace/ignored/deep/", "./-dash")).toEqual([["-dash", "ignored/deep/model.bin"], []]);
      expect(await named("run.sh", "s?m")).toEqual([["run.sh", "sum"], []]);
      expect(await named("[r]un.sh")).toEqual([[], ["[r]un.sh"]]);
      expect(() => parsePatterns(["{run,stop}.sh"], sandbox.workdir)).toThrow("list a pattern for each of them");
      for (const path of ["../etc/passwd", "/etc/passwd", ".git/config", "a/.GIT/hooks"])
        expect(() => parsePatterns([path], sandbox.workdir)).toThrow("not in the job's work directory");
    }),
);

sandboxTest("a selection beyond the limits is refused before anything is written, naming the largest files", () =>
  inSandbox("for n in 1 2 3 4; do head -c ${n}00000 /dev/zero > f$n; done", async (sandbox) => {
    const before = readdirSync(root);
    await expect(collect(sandbox, { limits: { bytes: 999_999 } })).rejects.toThrow('The largest are "f4" (391 KiB)');
    await expect(collect(sandbox, { limits: { files: 3 } })).rejects.toThrow("at most 3 files");
    await expect(
      collect(sandbox, { limits: { bytes: 1_000_000 }, meanwhile: "head -c 9000000 /dev/zero > f1" }),
    ).rejects.toThrow("grew to more than");
    expect(readdirSync(root)).toEqual(before);

    const { names, why } = await collect(sandbox, {
      limits: { fileBytes: 300_000 },
      meanwhile: "head -c 300001 /dev/zero > f1; printf small > f2; rm f3",
    });
    expect(names).toEqual(["f2"]);
    expect(why).toEqual({
      f1: "it is larger than 293 KiB",
      f3: "it could not be read",
      f4: "it is larger than 293 KiB",
    });
  }),
);

sandboxTest("a folder that is not empty is not written to, even if it was filled in between", () =>
  inSandbox("echo new > a", async (sandbox) => {
    mkdirSync(join(root, "taken"));
    writeFileSync(join(root, "taken/a"), "mine");
    await expect(collect(sandbox, { into: "taken" })).rejects.toThrow("made meanwhile");
    await expect(collect(sandbox, { into: "mine.txt" })).rejects.toThrow("made meanwhile");
    expect(readFileSync(join(root, "taken/a"), "utf8")).toBe("mine");
    expect(readdirSync(root).filter((name) => name.startsWith(".collecting"))).toEqual([]);
    mkdirSync(join(root, "vacant"));
    expect((await collect(sandbox, { into: "vacant" })).names).toEqual(["a"]);
  }),
);

sandboxTest("files arrive also from an image without git or with a simpler find", () =>
  inSandbox(FILES, async (sandbox) => {
    const all = (await collect(sandbox)).names;
    await run(
      sandbox,
      `mkdir /tmp/bin; ln -s /usr/bin/* /tmp/bin; rm /tmp/bin/git* /tmp/bin/find
        printf '#!/bin/sh\\ncase " $* " in *" -printf "*) exit 1;; esac; exec /usr/bin/find "$@"\\n' > /tmp/bin/find
        chmod +x /tmp/bin/find`,
    );
    const plain = withPath(sandbox, "/tmp/bin");
    const { folder, names } = await collect(plain);
    expect(names).toEqual(all);
    expect(pictureOf(folder).get("run.sh")).toStartWith("program");
    const store = { folder: join(base, "store"), root } as never;
    const job = { jobID: "job_1", base: { commit: "0".repeat(40) } as never, scratchID: "n" };
    await expect(fetchChanges({ ...job, store, sandbox: plain, clock })).rejects.toThrow(
      'no git to tell changes by; use an image with git, or mode "files" with paths',
    );
  }),
);

import { afterAll, beforeAll, expect } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { chooseFiles, FILE_LIMITS, type FileLimits, parseWanted } from "../../src/workspace/choose-files.ts";
import { fetchFiles } from "../../src/workspace/fetch-files.ts";
import { listFiles } from "../../src/workspace/list-files.ts";
import { toText } from "../../src/workspace/paths.ts";
import { writeFiles } from "../../src/workspace/write-files.ts";
import { pictureOf } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";

/* Files of a job arrive as they are and as they were asked for, and nothing it does gets them anywhere else. */

let base = "";
let root = "";
let provider: SandboxProvider;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "files-"));
  root = join(base, "project");
  mkdirSync(root);
  writeFileSync(join(root, "mine.txt"), "mine\n");
  provider = localProvider(join(base, "local"));
});

afterAll(async () => {
  await provider.close();
  rmSync(base, { recursive: true, force: true });
});

interface Order {
  readonly paths?: readonly string[];
  readonly into?: string;
  readonly limits?: Partial<FileLimits>;
  /** Between the listing and the reading. */
  readonly meanwhile?: string;
}

async function inSandbox<T>(script: string, use: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const sandbox = await provider.create(localSpec());
  try {
    await run(sandbox, script);
    return await use(sandbox);
  } finally {
    await sandbox.terminate();
  }
}

async function run(sandbox: Sandbox, script: string): Promise<void> {
  const child = await sandbox.start({ argv: ["/bin/sh", "-ec", script] });
  let said = "";
  for await (const { bytes } of child.output) said += Buffer.from(bytes).toString();
  expect([await child.exit, said]).toEqual([{ kind: "exited", code: 0 }, expect.any(String)]);
}

let count = 0;

async function collect(sandbox: Sandbox, { paths = ["**"], into, limits: some, meanwhile }: Order = {}) {
  const target = into ?? `out-${++count}`;
  const limits = { ...FILE_LIMITS, ...some };
  const wanted = parseWanted(paths, sandbox.workdir);
  const listed = await listFiles(sandbox, wanted.roots, { clock, limitMs: 60_000 });
  const chosen = chooseFiles(listed, wanted, limits);
  if (meanwhile) await run(sandbox, meanwhile);
  const { fileBytes } = limits;
  const contents = fetchFiles(sandbox, chosen.files, { clock, limitMs: 60_000, mark: crypto.randomUUID(), fileBytes });
  const { files, leftOut } = await writeFiles({ root, target, chosen, contents, limits, nonce: `n${count}` });
  return {
    folder: join(root, target),
    names: files.map(({ path }) => toText(path)),
    why: Object.fromEntries(leftOut.map(({ path, why }) => [toText(path), why])),
    unmatched: chosen.unmatched,
  };
}

/** Everything but what one collection wrote. */
const pictureWithout = (folder: string) =>
  [...pictureOf(base, true)].filter(([path]) => !join(base, path).startsWith(folder) && !path.startsWith("local/"));

const FILES = `
git init -q 2>/dev/null || true; printf 'ignored/\\n' > .gitignore
mkdir -p ignored/deep 'odd näme' empty; printf 'a\\r\\nb' > ignored/deep/model.bin; : > nothing
head -c 3000000 /dev/urandom > ignored/random.bin; sha256sum ignored/random.bin > sum
printf 'x' > 'odd näme/new
line "q"'; printf 'y' > "$(printf 'latin\\351')"; printf z > -dash; printf s > 'star*[x]'; printf w > 'starxx'
echo run > run.sh; chmod 4777 run.sh; chmod 600 sum
ln -s run.sh inside; ln -s ../run.sh ignored/up; ln -s ./deep ignored/folder; ln ignored/deep/model.bin hard`;

sandboxTest(
  "files arrive byte for byte, ignored ones too, with no rights but 0644 and 0755",
  () =>
    inSandbox(FILES, async (sandbox) => {
      const { folder, names, why } = await collect(sandbox);
      expect(why).toEqual({});
      expect(names).toContain('odd näme/new\nline "q"');
      expect(names.some((name) => /(^|\/)\.git(\/|$)/.test(name))).toBe(false);
      const inside = await sandbox.readFile("sum", { offset: 0, maxBytes: 100 });
      expect(readFileSync(join(folder, "sum"))).toEqual(Buffer.from(inside));
      const hash = new Bun.CryptoHasher("sha256")
        .update(readFileSync(join(folder, "ignored/random.bin")))
        .digest("hex");
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
  120_000,
);

sandboxTest(
  "patterns choose, a name is itself, and what is not there is said",
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
      expect(await named("star*[x]")).toEqual([["star*[x]", "starxx"], []]);
      expect(await named("/workspace/ignored/deep/", "./-dash")).toEqual([["-dash", "ignored/deep/model.bin"], []]);
      expect(await named("{run,stop}.sh", "s?m")).toEqual([["run.sh", "sum"], []]);
      for (const path of ["../etc/passwd", "/etc/passwd", ".git/config", "a/.GIT/hooks"])
        expect(() => parseWanted([path], sandbox.workdir)).toThrow("not in the job's work directory");
    }),
  120_000,
);

sandboxTest(
  "more than the limits allow is refused before anything is written, and names the largest",
  () =>
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
  120_000,
);

sandboxTest(
  "a job whose names, links and devices lead out gets none of them out",
  () =>
    inSandbox(
      `mkdir -p sub/.git deep .GIT 'git~1' .git; echo evil | tee sub/.git/config .GIT/config 'git~1/x' .git/x > ok
      printf x > "$(printf '.g\\342\\200\\214it')"
      ln -s /etc/passwd absolute; ln -s ../.. deep/up; ln -s deep/../../x through; ln -s .. top; ln -s .git/hooks hook
      ln -s deep deeper; ln -s ../ok deep/ok; mkfifo pipe; : > secret; chmod 000 secret
      ln -s /etc etc-link`,
      async (sandbox) => {
        const { folder, names, why } = await collect(sandbox);
        expect(names).toEqual(["deep/ok", "deeper", "ok"].sort());
        const link = "it is a link that may lead elsewhere";
        const name = "some file system takes its name for another place";
        expect(why).toEqual({
          absolute: link,
          "deep/up": link,
          "etc-link": link,
          hook: link,
          through: link,
          top: link,
          pipe: "it is a pipe, socket or device",
          ".GIT/config": name,
          "git~1/x": name,
          ".g\u200cit": name,
          ...("secret" in why && { secret: "it could not be read" }),
        });
        expect([...pictureOf(folder, true).keys()].sort()).toEqual(["deep", "deep/ok", "deeper", "ok"]);
      },
    ),
  120_000,
);

/** A job may put its own `find` and `xargs` in place of the machine's: what they say is only its word. */
const lying = (records: string) => `
mkdir -p bin; printf '#!/bin/sh\\n[ "$2" != -maxdepth ] || exit 0\\nprintf "%s"\\n' '${records}' > bin/find
printf '#!/bin/sh\\nfor n in 1 2 3 4 5 6 7 8 9; do printf "evil%%s+" "$7"; done\\n' > bin/xargs; chmod +x bin/*`;

sandboxTest(
  "a job that lies about its files writes to its folder at most",
  () =>
    inSandbox("true", async (sandbox) => {
      const record = (kind: string, path: string, to = "") => `${kind}\\000644\\0004\\000${path}\\000${to}\\000`;
      const names = [
        "../up",
        "/etc/x",
        "a/../../up",
        "./.git/x",
        "",
        ".",
        "..",
        "a//b",
        "ok",
        "ok",
        "ok/below",
        "link/in",
      ];
      const links = [record("l", "link", "../.."), record("l", "dir", "sub"), record("l", "good", "dir/x")];
      const records = [...[...names, "dir/x"].map((name) => record("f", name)), ...links];
      await run(
        sandbox,
        lying([...records, "f\\000junk\\000", `f\\000644\\000${"9".repeat(30)}\\000huge\\000\\000`].join("")),
      );
      const real = sandbox.start.bind(sandbox);
      const liar: Sandbox = Object.assign(Object.create(sandbox), {
        workdir: sandbox.workdir,
        id: sandbox.id,
        start: (request: Parameters<Sandbox["start"]>[0]) =>
          real({ ...request, env: { ...request.env, PATH: "/workspace/bin:/usr/bin:/bin" } }),
        writeFile: sandbox.writeFile.bind(sandbox),
      });
      const before = pictureWithout(join(root, "lied"));
      const { folder, names: written, why } = await collect(liar, { into: "lied" });
      expect(pictureWithout(folder)).toEqual(before);
      expect(readFileSync(join(root, "mine.txt"), "utf8")).toBe("mine\n");
      expect(written).toEqual(["dir/x", "good", "link/in", "ok"]);
      expect(readFileSync(join(folder, "dir/x"), "utf8")).toBe("evil");
      const refused = ["", ".", "..", "../up", ".git/x", "/etc/x", "a/../../up", "a//b", "dir", "link", "ok/below"];
      expect(Object.keys(why).sort()).toEqual(refused);
    }),
  120_000,
);

sandboxTest(
  "a folder with something in it is not written to, also when that came in between",
  () =>
    inSandbox("echo new > a", async (sandbox) => {
      mkdirSync(join(root, "taken"));
      writeFileSync(join(root, "taken/a"), "mine");
      await expect(collect(sandbox, { into: "taken" })).rejects.toThrow("made meanwhile");
      await expect(collect(sandbox, { into: "mine.txt" })).rejects.toThrow("made meanwhile");
      expect(readFileSync(join(root, "taken/a"), "utf8")).toBe("mine");
      expect(readdirSync(root).filter((name) => name.startsWith(".collecting"))).toEqual([]);
      mkdirSync(join(root, "vacant"));
      chmodSync(join(root, "vacant"), 0o755);
      expect((await collect(sandbox, { into: "vacant" })).names).toEqual(["a"]);
    }),
  120_000,
);

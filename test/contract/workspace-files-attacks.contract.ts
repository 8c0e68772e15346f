import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pictureOf } from "../support/hostile-project.ts";
import { base, collect, inSandbox, root, run, useProject, withPath } from "./files-support.ts";
import type { WorkspacePlace } from "./workspace.contract.ts";

/** Everything except what one collection wrote. */
const pictureWithout = (folder: string) =>
  [...pictureOf(base, true)].filter(([path]) => !join(base, path).startsWith(folder) && !path.startsWith("sandboxes/"));

/** Replaces `find` and `xargs` of the sandbox, as a job may, by programs that print these records. */
const lying = (records: string) => `
mkdir -p bin; printf '#!/bin/sh\\n[ "$2" != -maxdepth ] || exit 0\\nprintf "%s"\\n' '${records}' > bin/find
printf '#!/bin/sh\\nfor n in 1 2 3 4 5 6 7 8 9; do printf "evil%%s+" "$7"; done\\n' > bin/xargs; chmod +x bin/*`;

/** Whatever a job does to its files or reports about them, they are written to the requested folder or nowhere. */
export function filesAttacks({ name, open }: Pick<WorkspacePlace, "name" | "open">): void {
  describe(`files of jobs on ${name}`, () => {
    useProject(open);

    test("names, links and devices that lead out of a job's folder are left out", () =>
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
      ));

    test("instructions for agents are left out unless a pattern names the file exactly", () =>
      inSandbox(
        `mkdir -p docs/deep AGENTS.md; echo obey | tee docs/AGENTS.md docs/deep/claude.md docs/.cursorrules CONTEXT.md docs/ok.md > AGENTS.md/notes.txt
          ln -s ok.md docs/CLAUDE.md; printf x > "$(printf 'docs/AG\\342\\200\\213ENTS.md')"`,
        async (sandbox) => {
          const { names, why } = await collect(sandbox);
          expect(names).toEqual(["AGENTS.md/notes.txt", "docs/ok.md"]);
          expect([...new Set(Object.values(why))]).toEqual([
            "agents would take it for instructions; name it in paths to have it",
          ]);
          expect(Object.keys(why).sort()).toEqual(
            [
              "CONTEXT.md",
              "docs/.cursorrules",
              "docs/AGENTS.md",
              "docs/AG\u200bENTS.md",
              "docs/CLAUDE.md",
              "docs/deep/claude.md",
            ].sort(),
          );
          expect((await collect(sandbox, { paths: ["docs/AGENTS.md", "docs/deep", "**/CONTEXT.md"] })).names).toEqual([
            "docs/AGENTS.md",
          ]);
        },
      ));

    test("a job that lies about its files can write only to its own folder", () =>
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
        const liar = withPath(sandbox, "/workspace/bin:/usr/bin:/bin");
        const before = pictureWithout(join(root, "lied"));
        const { folder, names: written, why } = await collect(liar, { into: "lied" });
        expect(pictureWithout(folder)).toEqual(before);
        expect(readFileSync(join(root, "mine.txt"), "utf8")).toBe("mine\n");
        expect(written).toEqual(["dir/x", "good", "link/in", "ok"]);
        expect(readFileSync(join(folder, "dir/x"), "utf8")).toBe("evil");
        const refused = ["", ".", "..", "../up", ".git/x", "/etc/x", "a/../../up", "a//b", "dir", "link", "ok/below"];
        expect(Object.keys(why).sort()).toEqual(refused);
      }));
  });
}

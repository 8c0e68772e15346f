import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type InstructionPlaces, readInstructionFiles } from "../../../src/hosts/opencode-1/instruction-files.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "instructions-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function files(contents: Record<string, string>): void {
  for (const [path, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
const link = (path: string, target: string) => symlinkSync(target, join(root, path));

/** Of a repository in `root/p` that is open in `folder`, with the user's configuration in `root/config`. */
const read = (more: Partial<InstructionPlaces> = {}, folder = "") =>
  readInstructionFiles({
    directory: join(root, "p", folder),
    worktree: join(root, "p"),
    configFolder: join(root, "config"),
    configured: [],
    configuredByUser: [],
    env: {},
    ...more,
  });
const named = async (...args: Parameters<typeof read>) => {
  const { files: given, left } = await read(...args);
  return {
    given: given.map(({ name, text }) => `${name}: ${text}`),
    left: left.map(({ name, why }) => `${name}: ${why}`),
  };
};

test("finds the user's file, and the first kind of the project's, from the open folder up", async () => {
  files({
    "config/AGENTS.md": "user",
    "p/AGENTS.md": "top",
    "p/a/AGENTS.md": "a",
    "p/CLAUDE.md": "not this kind",
    "p/b/AGENTS.md": "not above",
    "AGENTS.md": "above the project",
  });
  const given = ["AGENTS.md of the user: user", "a/AGENTS.md: a", "AGENTS.md: top"];
  expect(await named({}, "a")).toEqual({ given, left: [] });
});

test("takes CLAUDE.md and CONTEXT.md where there is no AGENTS.md, unless OpenCode is told not to", async () => {
  files({ "p/CLAUDE.md": "claude", "p/CONTEXT.md": "context" });
  expect((await named()).given).toEqual(["CLAUDE.md: claude"]);
  expect((await named({ env: { OPENCODE_DISABLE_CLAUDE_CODE: "1" } })).given).toEqual(["CONTEXT.md: context"]);
  expect((await named({ env: { OPENCODE_DISABLE_PROJECT_CONFIG: "true" } })).given).toEqual([]);
});

test("follows the configured patterns from the open folder up", async () => {
  files({
    "p/docs/a.md": "a",
    "p/docs/b.txt": "b",
    "p/a/docs/c.md": "c",
    "p/x/y/rules.mdc": "r",
    "p/node_modules/m/rules.mdc": "no",
  });
  const configured = ["docs/*.md", "**/rules.{md,mdc}", join(root, "p/docs/?.txt")];
  const { given, left } = await named({ configured }, "a");
  expect(given.sort()).toEqual(["a/docs/c.md: c", "docs/a.md: a", "docs/b.txt: b", "x/y/rules.mdc: r"]);
  expect(left).toEqual([]);
});

test("follows a link within the project, and none that leads out of it", async () => {
  files({ "secret.md": "SECRET", "p/real.md": "real", "p/.git/config": "token" });
  link("p/AGENTS.md", "real.md");
  expect((await named()).given).toEqual(["AGENTS.md: real"]);
  rmSync(join(root, "p/AGENTS.md"));
  link("p/AGENTS.md", join(root, "secret.md"));
  link("p/hidden.md", ".git/config");
  link("p/out", root);
  const { given, left } = await named({ configured: ["hidden.md", "out/secret.md", "../secret.md"] });
  expect(given).toEqual([]);
  expect(left).toEqual(["AGENTS.md: leads out of the project", "hidden.md: lies among git's own files"]);
});

test("gives files of the user's that his own configuration names, and none that only the project names", async () => {
  files({ "mine/style.md": "style", "mine/key.md": "SECRET" });
  link("mine/linked.md", join(root, "mine/style.md"));
  const configured = [join(root, "mine/linked.md"), join(root, "mine/key.md"), "../mine/key.md"];
  const { given, left } = await named({ configured, configuredByUser: [join(root, "mine/linked.md")] });
  expect(given).toEqual(["linked.md of the user: style"]);
  expect(left).toEqual([expect.stringMatching(/^key\.md of the user: lies outside the project/)]);
  expect(JSON.stringify({ given, left })).not.toContain(root);
});

test("names what is too long, no text or empty", async () => {
  files({
    "p/AGENTS.md": "x".repeat(40_000),
    "p/b.md": "y".repeat(40_000),
    "p/c.md": "z",
    "p/d.md": "a\0b",
    "p/e.md": " \n",
  });
  const { files: given, left } = await read({ configured: ["b.md", "c.md", "d.md", "e.md"] });
  expect(given.map(({ text }) => text.length)).toEqual([32_000, 16_000]);
  expect(left).toEqual([
    { name: "AGENTS.md", why: "was cut after 32000 of 40000 characters" },
    { name: "b.md", why: "was cut after 16000 of 40000 characters" },
    { name: "c.md", why: "was cut after 0 of 1 characters" },
    { name: "d.md", why: "is not text" },
  ]);
});

test("reads addresses of the user's, and of the project's only what is public", async () => {
  const server = createServer((request, answer) => {
    if (request.url === "/moved") answer.writeHead(302, { location: "/rules.md" }).end();
    else answer.writeHead(request.url?.startsWith("/rules") ? 200 : 404).end("rules");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const user = [`http://${host}/rules.md?key=SECRET`, `http://${host}/moved`, `http://${host}/none`];
  const project = [
    `http://${host}/rules`,
    "https://10.0.0.1/x",
    "https://metadata.google.internal/x",
    "http://example.org/x",
    "https://intranet/x",
  ];
  const { given, left } = await named({ configured: [...user, ...project], configuredByUser: user });
  server.close();
  expect(given).toEqual([`${host}/rules.md: rules`, `${host}/moved: rules`]);
  expect(left[0]).toBe(`${host}/none: could not be read (the server answered 404)`);
  expect(left.slice(1).every((one) => one.includes("is not public"))).toBe(true);
  expect(left).toHaveLength(6);
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readHostPath, within } from "../../../../src/sandboxes/local/bubblewrap/host-path.ts";

// Temporary directories are never bound at all, so a checkout in one of them does not serve.
const isTemporary = (path: string) => ["/tmp/", "/var/tmp/", "/dev/shm/"].some((folder) => path.startsWith(folder));
const parent = isTemporary(process.cwd()) ? homedir() : join(process.cwd(), "node_modules");
let base = "";
const at = (path: string) => join(base, path);

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(parent, ".host-path-")));
  for (const folder of [
    ".ssh",
    ".nvm/versions/node/v1/bin",
    ".nvm/versions/node/v1/lib/node_modules",
    ".local/bin",
    "project/bin",
    "project/lib",
    ".cargo/bin",
    ".config/tool/bin",
    "state/bin",
    "elsewhere/py/bin",
    "elsewhere/py/lib/python3.12",
  ]) {
    mkdirSync(at(`home/${folder}`), { recursive: true });
  }
  writeFileSync(at("home/.cargo/credentials.toml"), "secret");
  writeFileSync(at("home/elsewhere/py/bin/python3.12"), "");
  symlinkSync(at("home/elsewhere/py/bin/python3.12"), at("home/.local/bin/python3.12"));
  symlinkSync(at("home/.ssh"), at("home/ssh-link"));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const read = (...entries: string[]) => readHostPath(entries.join(":"), at("home"), at("home/state"), ["/workspace"]);

test("an installation is lent with what stands beside its bin, and nothing above it", () => {
  expect(read(at("home/.nvm/versions/node/v1/bin")).binds).toEqual([
    at("home/.nvm/versions/node/v1/bin"),
    at("home/.nvm/versions/node/v1/lib"),
  ]);
});

test("a project's bin is lent without the project", () => {
  expect(read(at("home/project/bin")).binds).toEqual([at("home/project/bin")]);
});

test("a tool's credentials beside its bin are not lent", () => {
  expect(read(at("home/.cargo/bin")).binds).toEqual([at("home/.cargo/bin")]);
});

test("links are followed to the installation they lead to", () => {
  expect(read(at("home/.local/bin")).binds).toEqual([
    at("home/.local/bin"),
    at("home/elsewhere/py/bin"),
    at("home/elsewhere/py/lib"),
  ]);
});

test("home, its parents, credentials, the state directory and relative entries are never lent", () => {
  const { binds, path } = read(
    at("home"),
    base,
    "/",
    "/home",
    ".",
    "bin",
    "",
    at("home/.ssh"),
    at("home/ssh-link"),
    at("home/.config/tool/bin"),
    at("home/state/bin"),
    at("home/state"),
    "/tmp",
    "/etc",
    at("none"),
  );
  expect(binds).toEqual([]);
  expect(path).toBe("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
});

test("within compares whole path components", () => {
  expect([
    within("/a/b", "/a"),
    within("/a", "/a"),
    within("/ab", "/a"),
    within("/a", "/a/b"),
    within("/a", "/"),
  ]).toEqual([true, true, false, false, true]);
});

import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { autoLoadedBy, isInstruction } from "../../../../src/workspace/collect/auto-loaded-files.ts";
import { findAutoLoadedFiles } from "../../../../src/workspace/collect/find-auto-loaded.ts";
import { fromText } from "../../../../src/workspace/paths.ts";

const AUTO_LOADED: Readonly<Record<string, readonly string[]>> = {
  "agents take it for instructions": [
    ...[
      "AGENTS.md",
      "CLAUDE.md",
      "docs/CONTEXT.md",
      "GEMINI.md",
      "a/b/agents.md",
      "CLAUDE.local.md",
      "AGENTS.override.md",
    ],
    ...[".cursorrules", "x/.windsurfrules", "docs/copilot-instructions.md", "ts.instructions.md", "rules/style.mdc"],
  ],
  "agents load settings, tools or instructions from it": [
    ...["opencode.json", "pkg/opencode.jsonc", ".mcp.json", ".opencode/plugin/x.ts", ".opencode/parallel-agents.jsonc"],
    ...[".claude/settings.json", ".agents/skills/x/SKILL.md", "sub/.cursor/rules/a", ".codex/config.toml"],
  ],
  "git or its hooks use it": [
    ...[".gitattributes", ".gitmodules", ".husky/pre-commit", ".githooks/post-checkout", ".pre-commit-config.yaml"],
    ...["lefthook.yml", ".lefthook.toml"],
  ],
  "continuous integration runs it": [
    ...[".github/workflows/ci.yml", ".gitlab-ci.yml", ".circleci/config.yml", "Jenkinsfile", "azure-pipelines.yml"],
    ".github",
  ],
  "editors load or run it": [
    ...[".vscode/tasks.json", ".vscode/settings.json", ".idea/workspace.xml", ".zed/tasks.json", "all.code-workspace"],
    ...[".devcontainer/devcontainer.json", ".exrc", ".vscode"],
  ],
  "formatters, linters or language servers load or run it": [
    ...[
      ".prettierrc",
      ".prettierrc.js",
      "web/prettier.config.mjs",
      "eslint.config.js",
      ".eslintrc.cjs",
      ".rubocop.yml",
    ],
    ...["mix.exs", "build.zig", "Package.swift", "Gemfile", "app/build.gradle", "app/build.gradle.kts", "hie.yaml"],
  ],
  "shells, interpreters or package managers load or run it": [
    "binding.gyp",
    ...[".envrc", ".npmrc", ".yarnrc.yml", ".yarn/releases/yarn.cjs", ".pnp.cjs", ".pnp.loader.mjs", "conftest.py"],
    ...[
      "sitecustomize.py",
      "lib/x.pth",
      "setup.py",
      "node_modules/x/index.js",
      ".venv/bin/python",
      ".cargo/config.toml",
    ],
  ],
};

/** Other spellings that a lenient file system or tool takes for a name on the list. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "AgEnTs.Md": "case",
  "ＡＧＥＮＴＳ.md": "width of letters",
  "AGENTS.md.": "a dot at the end",
  "AGENTS.md ": "a space at the end",
  "AGENTS.md::$DATA": "a stream",
  "AG\u200bENTS.md": "a character of no width",
  "\u202eAGENTS.md": "a change of direction",
  "AGENTſ.md": "another letter for s",
  "d/.GitHub./workflows/x": "a folder with a dot at the end",
  ".ENVRC": "case of a hidden file",
  "NODE_MODULES\u00ad/x": "a soft hyphen",
};

const FREE = [
  ...["README.md", "src/agents.ts", "agents.md/readme.txt", "github/workflows/ci.yml", "notes-AGENTS.md", "Makefile"],
  ...["package.json", "tsconfig.json", "data/context.json", "docs/claude.txt", "src/opencode.json.ts", "env/rc"],
  ...["my.husky/x", "model.pt", "conftest.pyc", "a/vscode/tasks.json", "mysetup.py", ":", "...", " ", "."],
];

describe("auto-loaded files", () => {
  for (const [who, paths] of Object.entries(AUTO_LOADED))
    test(who, () => {
      expect(paths.filter((path) => autoLoadedBy(fromText(path)) !== who)).toEqual([]);
    });

  for (const [path, what] of Object.entries(SPELLINGS))
    test(`are recognised in another spelling: ${what}`, () => {
      expect(autoLoadedBy(fromText(path))).not.toBeNull();
    });

  test("are only those on the list", () => {
    expect(FREE.filter((path) => autoLoadedBy(fromText(path)) !== null)).toEqual([]);
  });

  test("that are instructions for agents are recognised by name in any folder", () => {
    expect(["AGENTS.md", "x/claude.md", ".opencode/AGENTS.md"].filter(isInstruction)).toHaveLength(3);
    expect(["opencode.json", ".claude/settings.json", "AGENTS.md/x"].filter(isInstruction)).toEqual([]);
  });
});

test("a collected package file is named if installing the package runs a script, or may run one that was not read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "auto-loaded-"));
  const contents: Record<string, string> = {
    "package.json": '{"scripts":{"postinstall":"evil","test":"x"}}',
    "Package.JSON": '\uFEFF{"scripts":{"prepare":"evil"}}',
    "composer.json": '{"scripts":{"post-install-cmd":["evil"]}}',
    "plain.json": '{"scripts":{"postinstall":"evil"}}',
  };
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text);
  for (const [name, text] of Object.entries({ test: '{"scripts":{"test":"x"}}', junk: "{", list: '{"scripts":[]}' })) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "package.json"), text);
    contents[`${name}/package.json`] = text;
  }
  mkdirSync(join(folder, "large"));
  writeFileSync(join(folder, "large/package.json"), `{"x":"${"x".repeat(1024 * 1024)}"}`);
  contents["large/package.json"] = "";
  symlinkSync("package.json", join(folder, "link"));
  mkdirSync(join(folder, "linked"));
  symlinkSync("../package.json", join(folder, "linked/package.json"));
  const found = await findAutoLoadedFiles(folder, [...Object.keys(contents), "linked/package.json", "link"]);
  rmSync(folder, { recursive: true });
  const why = "installing packages runs its scripts:";
  const unread = "installing packages may run its scripts, which were not read";
  expect(Object.fromEntries(found.map(({ path, who }) => [path, who]))).toEqual({
    "package.json": `${why} postinstall`,
    "Package.JSON": `${why} prepare`,
    "composer.json": `${why} post-install-cmd`,
    "large/package.json": unread,
    "linked/package.json": unread,
  });
});

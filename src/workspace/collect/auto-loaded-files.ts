import { fromText, toText } from "../paths.ts";

/*
 * The list of files that programs or models load on their own. A job's version of such a file takes effect as soon as it
 * lies in the user's project, before anyone has looked at it. Names are compared as the most lenient file system or tool
 * would compare them.
 */

/** Files that something obeys because of their names. */
export interface Kind {
  /** Who loads the file, as a clause that follows the file's name. */
  readonly who: string;
  /** Names of files, in any folder; `*` stands for any characters. */
  readonly names: string;
  /** Names of folders, in any folder; they stand for everything in them. */
  readonly folders: string;
}

/** Agents read these in any folder that they work in. */
const INSTRUCTIONS: Kind = {
  who: "agents take it for instructions",
  names:
    "agents.md claude.md context.md gemini.md agent.md agents.*.md claude.*.md qwen.md crush.md copilot-instructions.md *.instructions.md .cursorrules .windsurfrules .clinerules .roorules .goosehints *.mdc",
  folders: "",
};

const OTHERS: readonly Kind[] = [
  {
    who: "agents load settings, tools or instructions from it",
    names: "opencode.json opencode.jsonc .mcp.json parallel-agents.jsonc",
    folders:
      ".opencode .claude .agents .cursor .windsurf .gemini .codex .roo .clinerules .continue .kiro .amazonq .junie .goose",
  },
  {
    who: "git or its hooks use it",
    names: ".gitattributes .gitmodules .pre-commit-config.yaml .lefthook.* lefthook.* .overcommit.yml .lintstagedrc*",
    folders: ".husky .githooks .lefthook",
  },
  {
    who: "continuous integration runs it",
    names:
      ".gitlab-ci.yml jenkinsfile azure-pipelines.yml .travis.yml .drone.yml .woodpecker.yml bitbucket-pipelines.yml appveyor.yml .appveyor.yml cloudbuild.yaml",
    folders: ".github .gitlab .circleci .buildkite .woodpecker .forgejo .gitea .drone",
  },
  {
    who: "editors load or run it",
    names: "*.code-workspace .exrc .vimrc .nvimrc .nvim.lua .lvimrc .dir-locals.el .gdbinit .lldbinit",
    folders: ".vscode .idea .zed .vs .fleet .nvim .devcontainer",
  },
  {
    // OpenCode itself starts some of these when a file is edited.
    who: "formatters, linters or language servers load or run it",
    names:
      ".prettierrc* prettier.config.* eslint.config.* .eslintrc* .stylelintrc* stylelint.config.* .oxlintrc.json .rubocop.yml .standard.yml .pylintrc pylintrc .luarc.json .luarc.jsonc .formatter.exs mix.exs build.zig package.swift hie.yaml gemfile svelte.config.* astro.config.* build.gradle settings.gradle init.gradle *.gradle.kts directory.build.props directory.build.targets",
    folders: ".lsp .clj-kondo",
  },
  {
    who: "shells, interpreters or package managers load or run it",
    names:
      ".envrc .autoenv .mise.toml mise.toml .tool-versions .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnp.* bunfig.toml conftest.py sitecustomize.py usercustomize.py *.pth setup.py pip.conf build.rs binding.gyp",
    folders: ".mise .direnv .yarn .cargo .bundle .mvn node_modules .venv venv site-packages dist-packages",
  },
];

const toPattern = (words: string): RegExp =>
  new RegExp(
    `^(?:${words
      .split(" ")
      .map((word) => word.replace(/[.+]/g, "\\$&").replaceAll("*", ".*"))
      .join("|")})$`,
    "u",
  );

/** Patterns that match what `normalizeName` returns. */
export const compileKind = ({ who, names, folders }: Kind) => ({
  who,
  isName: toPattern(names),
  isFolder: folders === "" ? null : toPattern(folders),
});

const INSTRUCTION = compileKind(INSTRUCTIONS);
const ALL = [INSTRUCTION, ...OTHERS.map(compileKind)];

/**
 * A name in the form in which the most lenient file system compares it: without differences in case, width or composition
 * of letters, and without invisible characters, an NTFS stream's name, and trailing dots and spaces.
 */
export const normalizeName = (part: string): string =>
  part
    .normalize("NFKC")
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu, "")
    .toLowerCase()
    .replace(/(?<=.):.*$/s, "")
    .replace(/(?<=.)[. ]+$/, "");

const partsOf = (path: string): string[] => toText(path).split("/").map(normalizeName);

/** Whether agents read a file as instructions, whatever folder it lies in. */
export const isInstruction = (path: string): boolean => INSTRUCTION.isName.test(partsOf(path).at(-1) ?? "");

/**
 * Who loads this file on their own, as a clause that follows its name; null = nobody. The last name of the path may also
 * be that of a folder on the list: the file may be a link that stands for the folder.
 */
export function autoLoadedBy(path: string): string | null {
  const parts = partsOf(path);
  const name = parts.at(-1) ?? "";
  return (
    ALL.find(({ isName, isFolder }) => isName.test(name) || parts.some((part) => isFolder?.test(part)))?.who ?? null
  );
}

/** `autoLoadedBy` for a path that is text. */
export const autoLoadedByText = (path: string): string | null => autoLoadedBy(fromText(path));

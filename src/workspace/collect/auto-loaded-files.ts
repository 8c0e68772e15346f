import { fromText, toText } from "../paths.ts";

/*
 * Files that programs or models obey without being asked: the one list of them. What a job makes of such a file takes
 * effect as soon as it lies in the user's project, before anybody has looked at it. Names are compared as the least
 * careful file system or tool would.
 */

interface Kind {
  /** Who obeys, after the file's name. */
  readonly who: string;
  /** Of files in any folder; `*` stands for any characters. */
  readonly names: string;
  /** Of folders, in any folder: all that is in them. */
  readonly folders: string;
}

/** Read by agents from whatever folder they come across. */
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
    who: "git or its hooks obey it",
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
    who: "editors run or obey it",
    names: "*.code-workspace .exrc .vimrc .nvimrc .nvim.lua .lvimrc .dir-locals.el .gdbinit .lldbinit",
    folders: ".vscode .idea .zed .vs .fleet .nvim .devcontainer",
  },
  {
    // Those that OpenCode starts by itself are among them: a file is formatted and looked through when it is edited.
    who: "formatters, linters or language servers run or obey it",
    names:
      ".prettierrc* prettier.config.* eslint.config.* .eslintrc* .stylelintrc* stylelint.config.* .oxlintrc.json .rubocop.yml .standard.yml .pylintrc pylintrc .luarc.json .luarc.jsonc .formatter.exs mix.exs build.zig package.swift hie.yaml gemfile svelte.config.* astro.config.* build.gradle settings.gradle init.gradle *.gradle.kts directory.build.props directory.build.targets",
    folders: ".lsp .clj-kondo",
  },
  {
    who: "shells, interpreters or package managers run or obey it",
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

const compile = ({ who, names, folders }: Kind) => ({
  who,
  isName: toPattern(names),
  isFolder: folders === "" ? null : toPattern(folders),
});

const INSTRUCTION = compile(INSTRUCTIONS);
const ALL = [INSTRUCTION, ...OTHERS.map(compile)];

/**
 * A part of a path as the least careful would take it: case, width and composition of letters, characters that are not
 * seen, the name of a stream, dots and spaces at the end count for nothing.
 */
export const plainPart = (part: string): string =>
  part
    .normalize("NFKC")
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu, "")
    .toLowerCase()
    .replace(/(?<=.):.*$/s, "")
    .replace(/(?<=.)[. ]+$/, "");

const partsOf = (path: string): string[] => toText(path).split("/").map(plainPart);

/** Whether agents take a file for instructions, wherever it lies. */
export const isInstruction = (path: string): boolean => INSTRUCTION.isName.test(partsOf(path).at(-1) ?? "");

/**
 * Who obeys this file without being asked, in words; null = nobody. A folder's name counts for a file too: as a link it
 * stands for the folder.
 */
export function autoLoadedBy(path: string): string | null {
  const parts = partsOf(path);
  const name = parts.at(-1) ?? "";
  return (
    ALL.find(({ isName, isFolder }) => isName.test(name) || parts.some((part) => isFolder?.test(part)))?.who ?? null
  );
}

/** `autoLoadedBy` for a path given as text. */
export const autoLoadedByText = (path: string): string | null => autoLoadedBy(fromText(path));

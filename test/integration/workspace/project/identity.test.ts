import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { identityEnv, identityOf } from "../../../../src/workspace/project/identity.ts";
import { openProjectStore } from "../../../../src/workspace/project/project-store.ts";

/* Who commits is whoever the user's own git would name, whichever way he has told it. */

let base = "";
let count = 0;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "identity-")));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Setting {
  readonly env?: Readonly<Record<string, string>>;
  /** Of the repository: arguments of `git config`. */
  readonly config?: readonly (readonly string[])[];
  /** Files of the home. */
  readonly files?: Readonly<Record<string, string>>;
}

const ADA = "[user]\n\tname = Ada\n\temail = ada@example.com\n";
const WORK = "[user]\n\temail = ada@work.example\n";

/** A repository whose user has set this, and his environment. */
function repository({ env = {}, config = [], files = {} }: Setting) {
  const home = join(base, `home${++count}`);
  const root = join(home, "work");
  mkdirSync(root, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  const own = Object.entries(env).map(([name, value]) => [name, value.replaceAll("~", home)]);
  const all = { PATH: process.env.PATH ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1", ...Object.fromEntries(own) };
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, env: all, encoding: "utf8", stdio: "pipe" });
  git("init", "--quiet", "--initial-branch=main");
  for (const args of config) git("config", ...args);
  return { root, env: all, git };
}

const FORMAT = "--format=%an <%ae> %ad|%cn <%ce> %cd";
const NOW = "1700000000 +0100";

async function identityIn({ root, env }: ReturnType<typeof repository>) {
  const project = { kind: "project", root, isRepository: true, notes: [] } as const;
  const store = await openProjectStore(createGit(systemClock, env), join(root, "../state"), project);
  const identity = await identityOf(store);
  const tree = (await store.run(["mktree"], { input: new Uint8Array() })).toString().trim();
  const commit = await store.run(["commit-tree", tree, "-m", "x"], { env: identityEnv(identity, NOW) });
  const shown = await store.run(["show", "--no-patch", "--date=raw", FORMAT, commit.toString().trim()]);
  return { shown: shown.toString().trim(), invented: identity.invented };
}

const dates = { GIT_AUTHOR_DATE: NOW, GIT_COMMITTER_DATE: NOW };
const KNOWN: Readonly<Record<string, Setting>> = {
  "the author and committer of the environment, with dates": {
    files: { ".gitconfig": ADA },
    env: {
      ...{ GIT_AUTHOR_NAME: "Grace", GIT_AUTHOR_EMAIL: "grace@example.com", GIT_AUTHOR_DATE: "1600000000 +0000" },
      ...{ GIT_COMMITTER_NAME: "Bot", GIT_COMMITTER_EMAIL: "bot@example.com", GIT_COMMITTER_DATE: "1650000000 -0500" },
    },
  },
  "an author's name of the environment and the address of the configuration": {
    files: { ".gitconfig": ADA },
    env: { GIT_AUTHOR_NAME: "Ada L.", ...dates },
  },
  "author.* and committer.*": {
    files: { ".gitconfig": `${ADA}[author]\n\tname = A\n[committer]\n\temail = c@example.com\n` },
    env: dates,
  },
  "the address in EMAIL": {
    files: { ".gitconfig": "[user]\n\tname = Ada\n" },
    env: { EMAIL: "ada@mail.example", ...dates },
  },
  "settings of the environment": {
    env: {
      ...{ GIT_CONFIG_COUNT: "2", GIT_CONFIG_KEY_0: "user.name", GIT_CONFIG_VALUE_0: "Env" },
      ...{ GIT_CONFIG_KEY_1: "user.email", GIT_CONFIG_VALUE_1: "env@example.com", ...dates },
    },
  },
  "parameters of the environment": {
    files: { ".gitconfig": ADA },
    env: { GIT_CONFIG_PARAMETERS: "'user.name'='Param'", ...dates },
  },
  "another global file": { files: { other: ADA }, env: { GIT_CONFIG_GLOBAL: "~/other", ...dates } },
  "another system file": {
    files: { system: ADA },
    env: { GIT_CONFIG_SYSTEM: "~/system", GIT_CONFIG_NOSYSTEM: "0", ...dates },
  },
  "a file included for the folder": {
    files: { ".gitconfig": `${ADA}[includeIf "gitdir:~/work/"]\n\tpath = work.inc\n`, "work.inc": WORK },
    env: dates,
  },
  "a file included for the branch": {
    files: { ".gitconfig": `${ADA}[includeIf "onbranch:main"]\n\tpath = work.inc\n`, "work.inc": WORK },
    env: dates,
  },
  "a file included for the remote": {
    files: {
      ".gitconfig": `${ADA}[includeIf "hasconfig:remote.*.url:https://work/**"]\n\tpath = work.inc\n`,
      "work.inc": WORK,
    },
    config: [["remote.origin.url", "https://work/x"]],
    env: dates,
  },
  "the working tree's own settings": {
    files: { ".gitconfig": ADA },
    config: [
      ["extensions.worktreeConfig", "true"],
      ["--worktree", "user.name", "Tree"],
    ],
    env: dates,
  },
};

for (const [what, setting] of Object.entries(KNOWN))
  test(`${what} are honoured as by the user's own git, which signs nothing here`, async () => {
    const ran = join(base, `gpg-ran${count}`);
    writeFileSync(join(base, "gpg"), `#!/bin/sh\ntouch ${ran}\nexit 1\n`, { mode: 0o755 });
    const made = repository(setting);
    made.git("commit", "--quiet", "--allow-empty", "-m", "x");
    const expected = made.git("log", "-1", "--date=raw", FORMAT).trim();
    made.git("config", "commit.gpgSign", "true");
    made.git("config", "gpg.program", join(base, "gpg"));
    expect(await identityIn(made)).toEqual({ shown: expected, invented: null });
    expect(() => execFileSync("test", ["-e", ran])).toThrow();
  });

const UNKNOWN: readonly (readonly [string, Setting, string, RegExp])[] = [
  [
    "nothing is set",
    {},
    "opencode-parallel-agents <base@opencode-parallel-agents.invalid>",
    /^No git identity is configured: /,
  ],
  [
    "only a name is set",
    { files: { ".gitconfig": "[user]\n\tname = Ada\n" } },
    "Ada <base@",
    /^No address is configured for git: /,
  ],
  [
    "only EMAIL is set, and user.useConfigOnly",
    { files: { ".gitconfig": "[user]\n\tname = Ada\n\tuseConfigOnly = true\n" }, env: { EMAIL: "e@example.com" } },
    "Ada <base@",
    /user\.email/,
  ],
  [
    "only EMAIL is set, and user.useConfigOnly without a value",
    { files: { ".gitconfig": "[user]\n\tname = Ada\n\tuseConfigOnly\n" }, env: { EMAIL: "e@example.com" } },
    "Ada <base@",
    /user\.email/,
  ],
  [
    "a name of no letters is set",
    { env: { GIT_AUTHOR_NAME: " . ", GIT_COMMITTER_NAME: "", EMAIL: "e@example.com" } },
    "opencode-parallel-agents <e@example.com>",
    /^No name is configured for git: /,
  ],
];
for (const [what, setting, author, said] of UNKNOWN)
  test(`the invented author is named where ${what}`, async () => {
    const { shown, invented } = await identityIn(repository(setting));
    expect(shown).toStartWith(author);
    expect(invented).toMatch(said);
    expect(invented).toContain(shown.slice(0, shown.indexOf(">") + 1));
  });

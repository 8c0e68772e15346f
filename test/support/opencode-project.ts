import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Runs git in a project. Returns its output. */
export type Git = (...args: string[]) => string;

/** A git repository with one commit, in which the host finds everything to start offline. */
export function createProject(project: string, env: Record<string, string>, files: Record<string, string> = {}): Git {
  const projectFiles: Record<string, string> = { "README.md": "# A project\n", ...files };
  for (const [path, text] of Object.entries(projectFiles)) write(project, path, text);
  for (const directory of configDirsIn(Object.keys(projectFiles))) seedConfigDir(join(project, directory));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: project, env, encoding: "utf8" }).trimEnd();
  git("init", "--quiet");
  // The seeded files belong to the host, not to the project.
  write(
    project,
    ".git/info/exclude",
    "**/.opencode/node_modules/\n**/.opencode/package.json\n**/.opencode/package-lock.json\n/opencode.json\n",
  );
  git("add", "--all");
  git("-c", "gc.auto=0", "commit", "--quiet", "--message", "First"); // garbage collection would go on in the background
  return git;
}

export function write(base: string, path: string, text: string): void {
  const file = join(base, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The host installs `@opencode-ai/plugin` into a config dir that lacks it, and waits a minute for it when offline. */
export function seedConfigDir(directory: string): void {
  const dependencies = { "@opencode-ai/plugin": "1.18.33" };
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  writeFileSync(join(directory, "package.json"), JSON.stringify({ dependencies }));
  writeFileSync(
    join(directory, "package-lock.json"),
    JSON.stringify({ lockfileVersion: 3, packages: { "": { dependencies } } }),
  );
}

function configDirsIn(paths: string[]): Set<string> {
  const found = paths.map((path) => /^(?:.*\/)?\.opencode(?=\/)/.exec(path)?.[0]);
  return new Set(found.filter((directory) => directory !== undefined));
}

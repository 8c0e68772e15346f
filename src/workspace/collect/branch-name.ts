import { PluginError } from "../../shared/error-code.ts";
import { nullIfNotFound } from "../git.ts";
import type { ProjectStore } from "../project/project-store.ts";

export const branchRefusal = (branch: string, why: string): PluginError =>
  new PluginError("collect_failed", `Could not create the branch ${branch}: ${why}`, { retryable: false });

/**
 * A name that git has a place for: there can be no branch `agents/x` beside a branch `agents`, or one below `agents/x`.
 * @throws PluginError `collect_failed` where no name is free
 */
export async function decideBranchName(store: ProjectStore, jobID: string): Promise<string> {
  const names = [`agents/${jobID}`, `agents-${jobID}`] as const;
  const places = ["refs/heads/agents", `refs/heads/${names[1]}`];
  const ignoresCase = (await nullIfNotFound(store.user(["config", "--type=bool", "--get", "core.ignoreCase"]))) ?? "";
  const fold = (name: string) => (`${ignoresCase}`.trim() === "true" ? name.toLowerCase() : name);
  const list = ["for-each-ref", "--format=%(refname:lstrip=2)"];
  const all = (await store.user([...list, ...(fold("A") === "a" ? ["refs/heads"] : places)])).toString();
  const current = (await nullIfNotFound(store.user(["symbolic-ref", "--quiet", "HEAD"])))?.toString().trim() ?? "";
  const taken = [...all.split("\n"), current.replace("refs/heads/", "")].map(fold); // it may have no commit yet
  const isFree = (name: string) =>
    !taken.some((one) => one.startsWith(`${fold(name)}/`) || (one !== "" && fold(name).startsWith(`${one}/`)));
  const free = names.find(isFree);
  if (free !== undefined) return free;
  throw branchRefusal(
    names[0],
    `other branches are where it and ${names[1]} would be; rename them, or use mode "patch".`,
  );
}

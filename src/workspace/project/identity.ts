import { nullIfNotFound } from "../git.ts";
import type { ProjectStore } from "./project-store.ts";

export interface Person {
  readonly name: string;
  readonly email: string;
}

/** Who the commits of `agents_collect` are by: the author, and who committed them. */
export interface Identity extends Person {
  readonly committer: Person;
  /** As git parses them; null = the commit's own. */
  readonly dates: { readonly author: string | null; readonly committer: string | null };
  /** Which part of it is ours, as the user's git knows none, in a sentence; null = it is all the user's. */
  readonly invented: string | null;
}

/** Author of base commits, and of the user's where his git knows no name. */
export const BASE_IDENTITY: Person = {
  name: "opencode-parallel-agents",
  email: "base@opencode-parallel-agents.invalid",
};

/**
 * The user, as his own git would name him for a commit; ours where it would not commit, or would take the name of his
 * account and machine, which is rarely meant.
 * @source git-commit(1), "Commit information"; git-config(1), user.useConfigOnly
 */
export async function identityOf(store: ProjectStore): Promise<Identity> {
  const { identityEnv: env } = store;
  const said = await readConfig(store);
  const isConfigOnly = isTrue(said.get(CONFIG_ONLY) ?? "");
  const [name, email] = [
    said.get("user.name") ?? "",
    said.get("user.email") || (isConfigOnly ? "" : (env.EMAIL ?? "")),
  ];
  const personOf = (role: "author" | "committer"): Person => ({
    name: usable(env[`GIT_${role.toUpperCase()}_NAME`] || said.get(`${role}.name`) || name),
    email: usable(env[`GIT_${role.toUpperCase()}_EMAIL`] || said.get(`${role}.email`) || email),
  });
  const [author, committer] = [personOf("author"), personOf("committer")];
  const filled = withOurs(author);
  return {
    ...filled,
    committer: withOurs(committer),
    dates: { author: env.GIT_AUTHOR_DATE || null, committer: env.GIT_COMMITTER_DATE || null },
    invented: inventedPart([author, committer], filled),
  };
}

const CONFIG_ONLY = "user.useconfigonly";
const ASKED = "^(user|author|committer)\\.(name|email|useconfigonly)$";

/** All that git's configuration says of persons, asked for at once: jobs wait for it. Of a name with several values the last counts. */
async function readConfig(store: ProjectStore): Promise<ReadonlyMap<string, string>> {
  const printed = await nullIfNotFound(store.user(["config", "--null", "--get-regexp", ASKED]));
  const entries = (printed?.toString("utf8") ?? "").split("\0").slice(0, -1);
  return new Map(
    entries.map((entry) => {
      const [key = "", value] = entry.split(/\n(.*)/s);
      return [key, value?.trim() ?? (key === CONFIG_ONLY ? "true" : "")]; // a boolean without a value is true
    }),
  );
}

/** @source git-config(1), "Values": boolean */
const isTrue = (value: string): boolean => /^(true|yes|on)$/i.test(value) || (Number.parseInt(value, 10) || 0) !== 0;

/** git drops these characters around a name, and refuses one that has no others. */
const usable = (text: string): string => (/[^\s.,:;<>"\\']/.test(text) ? text : "");

const withOurs = ({ name, email }: Person): Person => ({
  name: name || BASE_IDENTITY.name,
  email: email || BASE_IDENTITY.email,
});

function inventedPart(people: readonly Person[], { name, email }: Person): string | null {
  const isWithoutName = people.some((person) => person.name === "");
  const isWithoutEmail = people.some((person) => person.email === "");
  if (!isWithoutName && !isWithoutEmail) return null;
  const what = !isWithoutEmail
    ? "No name is configured for git"
    : isWithoutName
      ? "No git identity is configured"
      : "No address is configured for git";
  const keys = [...(isWithoutName ? ["user.name"] : []), ...(isWithoutEmail ? ["user.email"] : [])].join(" and ");
  return `${what}: the commits are by ${name} <${email}>. Set ${keys} with git config and collect again to have them by you.`;
}

/** Environment in which git commits as this author and committer. @param date as git parses it; now by default */
export function identityEnv(
  { name, email, committer = { name, email }, dates }: Person & Partial<Identity>,
  date?: string,
): Readonly<Record<string, string>> {
  const [authored, committed] = [dates?.author ?? date, dates?.committer ?? date];
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: committer.name,
    GIT_COMMITTER_EMAIL: committer.email,
    ...(authored !== undefined && { GIT_AUTHOR_DATE: authored }),
    ...(committed !== undefined && { GIT_COMMITTER_DATE: committed }),
  };
}

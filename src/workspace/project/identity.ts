import { nullIfNotFound } from "../git.ts";
import type { ProjectStore } from "./project-store.ts";

export interface Identity {
  readonly name: string;
  readonly email: string;
}

/** Author of base commits, and of the user's where his git knows no name. */
export const BASE_IDENTITY: Identity = {
  name: "opencode-parallel-agents",
  email: "base@opencode-parallel-agents.invalid",
};

/** The user's name and email address from his git configuration; ours where they are missing. */
export async function identityOf(store: ProjectStore): Promise<Identity> {
  const ask = async (key: string) =>
    (await nullIfNotFound(store.user(["config", "--get", key])))?.toString("utf8").trim();
  const [name, email] = [await ask("user.name"), await ask("user.email")];
  return { name: name || BASE_IDENTITY.name, email: email || BASE_IDENTITY.email };
}

/** Environment in which git commits as this author and committer. @param date as git parses it; now by default */
export const identityEnv = ({ name, email }: Identity, date?: string): Readonly<Record<string, string>> => ({
  GIT_AUTHOR_NAME: name,
  GIT_AUTHOR_EMAIL: email,
  GIT_COMMITTER_NAME: name,
  GIT_COMMITTER_EMAIL: email,
  ...(date !== undefined && { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date }),
});

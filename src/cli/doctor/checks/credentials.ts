import type { Options } from "../../../config/schema.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";

/** What Modal's service answered. */
export type Reach =
  /** `workspace`: null = it does not say. */
  | { readonly kind: "answered"; readonly workspace: string | null; readonly inMs: number }
  | { readonly kind: "failed"; readonly message: string };

export interface CredentialFacts {
  readonly wanted: Options["provider"];
  readonly found:
    | { readonly kind: "found"; readonly source: string }
    | { readonly kind: "missing"; readonly message: string }
    | { readonly kind: "unusable"; readonly message: string };
  /** null = not asked. */
  readonly reach: Reach | null;
  /** Whether a variable names another server than Modal's own. */
  readonly hasOwnServer: boolean;
}

const SETUP = 'Run "modal setup" again, or set both MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.';

/** Where jobs run, and whether the account for that can be used. */
export function judgeCredentials({ wanted, found, reach, hasOwnServer }: CredentialFacts): Finding {
  const name = "credentials";
  const isUsed = wanted !== "local";
  if (found.kind === "missing") {
    if (wanted === "modal")
      return fault(name, `The option "provider" is "modal", so jobs fail: ${found.message}`, SETUP);
    return ok(
      name,
      `No Modal account is set up, so jobs run in local sandboxes.${isUsed ? "" : ' The option "provider" says so too.'}`,
    );
  }
  if (found.kind === "unusable") {
    const effect = wanted === "modal" ? "jobs fail" : "jobs run in local sandboxes instead";
    if (!isUsed)
      return warning(name, `${found.message} The option "provider" is "local", so it does not matter.`, SETUP);
    return fault(name, `${found.message} Until then ${effect}.`, SETUP);
  }
  if (!isUsed)
    return ok(name, `Modal credentials are in ${found.source}, but the option "provider" is "local": jobs run here.`);
  const jobs = `Jobs run on Modal, with the credentials in ${found.source}`;
  if (reach === null) return ok(name, `${jobs}.`);
  const server = hasOwnServer ? " The variable MODAL_SERVER_URL names another server than Modal's own." : "";
  if (reach.kind === "failed") {
    const remedy = hasOwnServer
      ? "Take MODAL_SERVER_URL out of the environment, unless it is meant; then the network and the credentials are next."
      : 'Check the network, proxies and https://status.modal.com; if the credentials are refused, run "modal setup" again. To work without Modal, set "provider": "local".';
    return fault(name, `${jobs}, but it cannot be used: ${reach.message}${server}`, remedy);
  }
  const workspace = reach.workspace === null ? "the account" : `the workspace ${reach.workspace}`;
  const meaning = `${jobs}: ${workspace} answers, in ${reach.inMs} ms.${server}`;
  return ok(name, meaning);
}

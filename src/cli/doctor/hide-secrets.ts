import { withoutSecrets } from "../../shared/without-secrets.ts";
import type { Finding } from "./finding.ts";

/** Names of variables whose values nobody else may see. */
const SECRET_NAME = /TOKEN|SECRET|PASS|KEY|AUTH|CREDENTIAL/i;

/** Values that no finding may show, whichever message they came in with. @param more further ones, from files */
export function secretsIn(env: Readonly<Record<string, string | undefined>>, more: readonly string[]): string[] {
  const values = Object.entries(env).flatMap(([name, value]) => (value && SECRET_NAME.test(name) ? [value] : []));
  const passwords = Object.values(env).flatMap((value) => /:\/\/[^/\s@]*:([^/\s@]+)@/.exec(value ?? "")?.[1] ?? []);
  return [...values, ...passwords, ...more].filter((value) => !value.startsWith("/"));
}

export function hideSecrets(finding: Finding, secrets: readonly string[]): Finding {
  const hide = (text: string) => withoutSecrets(text, secrets);
  return {
    ...finding,
    meaning: hide(finding.meaning),
    ...(finding.remedy !== undefined && { remedy: hide(finding.remedy) }),
  };
}

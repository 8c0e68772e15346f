import type { Environment } from "../config/environment.ts";
import { nameList, plainName } from "../shared/plain-text.ts";
import type { Job } from "./job.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What a job should know of the variables that its environment copies from this machine, none of whose values it names. */
export function missingVariableNotes(hostEnv: Env, { hostEnv: names, env }: Pick<Environment, "hostEnv" | "env">): string[] {
  const missing = names.filter((name) => hostEnv[name] === undefined && env[name] === undefined);
  return missing.length === 0
    ? []
    : [`Not set where OpenCode runs, so the sandbox lacks what its environment's "hostEnv" names: ${nameList(missing)}.`];
} // biome-ignore format: messages

/** Each names a file of certificates that a program trusts, most in place of the system's. */
const CERTIFICATES = [
  ...["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "GIT_SSL_CAINFO"],
  ...["AWS_CA_BUNDLE", "npm_config_cafile", "CARGO_HTTP_CAINFO"],
];

/** The files of certificates that these variables name, by variable. */
export const certificatesIn = (env: Env): ReadonlyMap<string, string> =>
  new Map(CERTIFICATES.flatMap((name) => (env[name] ? [[name, env[name]] as const] : [])));

/** @param name of the variable @param path of the file, which the sandbox does not have */
export const missingCertificateNote = (name: string, path: string, provider: Job["provider"]): string =>
  `${name} names ${plainName(path)}, which the sandbox does not have: programs that read it reach no server over TLS. ${
    provider === "local"
      ? 'Lend the file with "local.readOnlyPaths".'
      : 'Put the file into the environment\'s image, or have its "setup" make it.'
  }`;

import { readFileSync } from "node:fs";
import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";
import { type Credentials, findCredentials } from "../sandboxes/modal/credentials.ts";
import { PluginError } from "../shared/error-code.ts";

/** Where new jobs run, and why, for the user to read. */
export interface ProviderChoice {
  readonly name: ProviderName;
  readonly why: string;
}

/** Follows the option `provider`; `auto` means Modal when credentials are found. Does not load Modal's SDK. */
export function chooseProvider(
  options: Pick<Options, "provider">,
  env: Readonly<Record<string, string | undefined>>,
): ProviderChoice {
  if (options.provider !== "auto") return { name: options.provider, why: `the option "provider" says so` };
  const found = findCredentials(env, readIfThere);
  if (found.kind === "found") return { name: "modal", why: `credentials were found in ${found.credentials.source}` };
  return { name: "local", why: found.message };
}

/** Those of now; null = there are none that can be used. */
export function readCredentials(env: Readonly<Record<string, string | undefined>>): Credentials | null {
  const found = findCredentials(env, readIfThere);
  return found.kind === "found" ? found.credentials : null;
}

/** @throws PluginError `sandbox_create_failed` that says what to do */
export function requireCredentials(env: Readonly<Record<string, string | undefined>>): Credentials {
  const found = findCredentials(env, readIfThere);
  if (found.kind === "found") return found.credentials;
  throw new PluginError("sandbox_create_failed", found.message, { retryable: false });
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // absent or unreadable: either way it provides no credentials
  }
}

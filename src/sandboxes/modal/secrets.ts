import type { ModalClient, Secret } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";
import { kindOf, messageOf } from "./modal-error.ts";

export interface SecretUse {
  /** What the environment names it for, after "the environment names": " for the image x"; "" for its variables. */
  readonly of: string;
  /** Variables that it must have. */
  readonly keys: readonly string[];
}

/**
 * Looks up a secret by its name.
 * @throws PluginError `sandbox_create_failed` that names the secret, if it does not exist or lacks a key; else what the SDK throws
 * @source Modal JS SDK 0.11.1, SecretService.fromName: `NotFoundError` in both cases
 */
export async function findSecret(client: ModalClient, name: string, { of, keys }: SecretUse): Promise<Secret> {
  try {
    return await client.secrets.fromName(name, { requiredKeys: [...keys] });
  } catch (error) {
    if (kindOf(error) !== "gone") throw error;
    const needs = keys.length === 0 ? "" : ` with ${keys.join(" and ")}`;
    const example = keys.length === 0 ? " NAME=value" : keys.map((key) => ` ${key}=…`).join("");
    throw new PluginError(
      "sandbox_create_failed",
      `The Modal secret ${inQuotes(name)}${needs}, which the environment names${of}, was not found (${messageOf(error)}): check the names with "modal secret list", or make it with "modal secret create ${plainName(name)}${example}".`,
      { cause: error, retryable: false },
    );
  }
}

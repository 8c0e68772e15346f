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

/** A secret that is there, without a key. The SDK says both with one error. @source Modal JS SDK 0.11.1, SecretService.fromName */
const LACKS_KEYS = /missing key/i;

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
    const secret = `The Modal secret ${inQuotes(name)}`;
    const create = (option: string) => `"modal secret create ${option}${plainName(name)}${example}"`;
    const message = LACKS_KEYS.test(messageOf(error))
      ? `${secret}, which the environment names${of}, does not have all of ${keys.join(" and ")} (${messageOf(error)}): add what is missing at https://modal.com/secrets, or replace the secret with ${create("--force ")}.`
      : `${secret}${needs}, which the environment names${of}, was not found (${messageOf(error)}): check the names with "modal secret list", or make it with ${create("")}.`;
    throw new PluginError("sandbox_create_failed", message, { cause: error, retryable: false });
  }
}

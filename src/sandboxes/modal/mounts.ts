import type { CloudBucketMount, ModalClient, Proxy as ModalProxy, Secret, Volume } from "modal";
import { type BucketMount, toVolumeMount, type VolumeMount } from "../../config/mounts.ts";
import { PluginError } from "../../shared/error-code.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";
import { within } from "../../shared/time-limit.ts";
import type { MachineSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import type { CallDeps } from "./limits.ts";
import { kindOf, messageOf, nameOf, statusOf } from "./modal-error.ts";
import { bucketNote, volumeNote } from "./mount-notes.ts";
import { findSecret, type SecretUse } from "./secrets.ts";

/** What the machine names and the SDK takes as objects. */
export interface Mounts {
  readonly secrets: readonly Secret[];
  readonly volumes: Readonly<Record<string, Volume>>;
  readonly buckets: Readonly<Record<string, CloudBucketMount>>;
  readonly proxy: ModalProxy | null;
  /** What the agent should know of each volume and bucket, one or more sentences. */
  readonly notes: readonly string[];
}

/** Version of a volume that is made without one being named: it takes many writers, and `sync` commits. */
const NEW_VERSION = 2;

/**
 * Looks up the secrets, volumes, buckets and the proxy that the machine names, in parallel.
 * @param name of the sandbox that they are for
 * @throws PluginError `sandbox_create_failed` that names what is missing, `sandbox_create_timeout`, `cancelled`
 */
export function findMounts(
  client: ModalClient,
  { name, machine }: { readonly name: string; readonly machine: MachineSpec },
  { clock, limits, credentials }: CallDeps & { readonly credentials: Credentials },
  signal?: AbortSignal,
): Promise<Mounts> {
  const limit = { clock, limitMs: limits.callMs, doing: "Looking up secrets and volumes", signal };
  return within(lookUp(client, machine), limit).catch((error: unknown) => {
    throw createFailure(error, {
      doing: `look up the secrets and volumes of sandbox ${name}`,
      credentials,
      isLookup: true,
    });
  });
}

async function lookUp(client: ModalClient, machine: MachineSpec): Promise<Mounts> {
  const [secrets, volumes, buckets, proxy] = await Promise.all([
    Promise.all(machine.secrets.map((name) => findSecret(client, name, { of: "", keys: [] }))),
    Promise.all(
      Object.entries(machine.volumes).map(async ([path, entry]) => {
        const wanted = toVolumeMount(entry);
        const found = await findVolume(client, path, wanted);
        return { path, ...found, note: volumeNote(path, wanted, found.version) };
      }),
    ),
    Promise.all(
      Object.entries(machine.buckets).map(async ([path, bucket]) => {
        const mount = await toBucket(client, path, bucket);
        return { path, mount, note: bucketNote(path, bucket) };
      }),
    ),
    machine.proxy === null ? null : findProxy(client, machine.proxy),
  ]);
  return {
    secrets,
    volumes: Object.fromEntries(volumes.map(({ path, volume }) => [path, volume])),
    buckets: Object.fromEntries(buckets.map(({ path, mount }) => [path, mount])),
    proxy,
    notes: [...volumes, ...buckets].map(({ note }) => note),
  };
}

/**
 * A volume, and its version; null where Modal does not tell. Without `create` a name that does not exist is an error: a
 * misspelt one must not become a new, empty volume.
 * @source Modal JS SDK 0.11.1, VolumeService.fromName: throws `InvalidError` for another version than the one asked for
 */
async function findVolume(
  client: ModalClient,
  path: string,
  { name, version, create, readOnly, subPath }: VolumeMount,
): Promise<{ volume: Volume; version: 1 | 2 | null }> {
  const asked = version ?? NEW_VERSION;
  try {
    const found = await client.volumes.fromName(name, { createIfMissing: create, version: asked }).then(
      (volume) => ({ volume, version: asked }),
      async (error: unknown) => {
        if (version !== null || !isOtherVersion(error)) throw error;
        const volume = await client.volumes.fromName(name, { createIfMissing: create });
        return { volume, version: nameOf(error) === "InvalidError" ? 1 : null } as const;
      },
    );
    const options = { readOnly, ...(subPath !== null && { subPath: `/${subPath.replace(/^\/+/, "")}` }) };
    return { ...found, volume: found.volume.withMountOptions(options) };
  } catch (error) {
    const what = `The Modal volume ${inQuotes(name)}, which the environment mounts at ${plainName(path)},`;
    if (version !== null && isOtherVersion(error))
      throw refusal(
        `${what} is not of version ${version} (${messageOf(error)}): change or remove "version", or name another volume.`,
        error,
      );
    if (kindOf(error) !== "gone") throw error;
    const command = `modal volume create ${plainName(name)} --version=${asked}`;
    throw refusal(
      `${what} does not exist: check its name with "modal volume list", make it with "${command}", or set "create": true.`,
      error,
    );
  }
}

/** Whether a volume exists in another version than asked for: by the SDK's check, or by one of the server. */
const isOtherVersion = (error: unknown): boolean =>
  nameOf(error) === "InvalidError" || ([3, 6, 9].includes(statusOf(error) ?? 0) && kindOf(error) !== "spend");

async function toBucket(client: ModalClient, path: string, bucket: BucketMount): Promise<CloudBucketMount> {
  const { endpointUrl, keyPrefix, readOnly, secret } = bucket;
  const found = secret === null ? null : await findSecret(client, secret, secretUseOf(path, bucket));
  return client.cloudBucketMounts.create(bucket.bucket, {
    readOnly,
    ...(found && { secret: found }),
    ...(endpointUrl !== null && { bucketEndpointUrl: endpointUrl }),
    ...(keyPrefix !== null && { keyPrefix: keyPrefix.endsWith("/") ? keyPrefix : `${keyPrefix}/` }),
  });
}

async function findProxy(client: ModalClient, name: string): Promise<ModalProxy> {
  try {
    return await client.proxies.fromName(name);
  } catch (error) {
    if (kindOf(error) !== "gone") throw error;
    const message = `The Modal proxy ${inQuotes(name)}, which the environment names, does not exist: check its name in the workspace's settings, or make it there (Modal's Team and Enterprise plans have proxies).`;
    throw refusal(message, error);
  }
}

/** @source Modal's client, CloudBucketMount: the keys that the secret of each kind of bucket must have */
function secretUseOf(path: string, { bucket, endpointUrl }: BucketMount): SecretUse {
  const isGoogle = endpointUrl !== null && new URL(endpointUrl).hostname.endsWith("storage.googleapis.com");
  return {
    of: ` for the bucket ${inQuotes(bucket)} at ${plainName(path)}`,
    keys: isGoogle
      ? ["GOOGLE_ACCESS_KEY_ID", "GOOGLE_ACCESS_KEY_SECRET"]
      : ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
  };
}

/** Shell script that prints, for each path that cannot be listed, the path and why, on a line each. */
const LIST_EACH = `for path do why=$(ls -- "$path" 2>&1 >/dev/null) || printf '%s\\n%s\\n' "$path" "$(echo "$why" | tr '\\n' ' ')"; done`;

/** The command that tries to list the buckets of a machine; null where it has none. */
export const bucketCheck = ({ buckets }: MachineSpec): readonly string[] | null =>
  Object.keys(buckets).length === 0 ? null : ["/bin/sh", "-c", LIST_EACH, "check", ...Object.keys(buckets)];

/**
 * The error for a bucket that could not be listed, by what the command printed; null for none. Modal itself takes any name:
 * a bucket that does not exist shows only when it is read.
 */
export function bucketFailure(printed: string, { buckets }: MachineSpec): PluginError | null {
  const [path = "", why = ""] = printed.split("\n");
  const bucket = buckets[path];
  if (bucket === undefined) return null;
  const { keys } = secretUseOf(path, bucket);
  const secret =
    bucket.secret === null
      ? `The environment names no "secret" for it, which only a public bucket can do without: one with ${keys.join(" and ")}.`
      : `Check that ${keys.join(" and ")} of the Modal secret ${inQuotes(bucket.secret)} may read it.`;
  const endpoint = bucket.endpointUrl === null ? ' A bucket of R2 or Google Cloud needs its "endpointUrl".' : "";
  return refusal(
    `The bucket ${inQuotes(bucket.bucket)}, which the environment mounts at ${plainName(path)}, cannot be read (${why.trim()}): check that it exists under this name. ${secret}${endpoint}`,
    undefined,
  );
}

const refusal = (message: string, cause: unknown): PluginError =>
  new PluginError("sandbox_create_failed", message, { cause, retryable: false });

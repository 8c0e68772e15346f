import { homedir } from "node:os";
import { join } from "node:path";
import { parse, TomlError } from "smol-toml";

type Env = Readonly<Record<string, string | undefined>>;

/** The user's credentials at Modal. Tokens are never logged. */
export type Credentials = CredentialsSource &
  (
    | { readonly kind: "token"; readonly tokenId: string; readonly tokenSecret: string }
    /** OAuth tokens, which the SDK reads itself. */
    | { readonly kind: "oauth" }
  );

interface CredentialsSource {
  /** Says for messages where they were found. */
  readonly source: string;
  /** The user's settings beside them: the Modal environment, and the version of the image builder. */
  readonly settings?: { readonly environment?: string; readonly imageBuilderVersion?: string };
}

export type FoundCredentials =
  | { readonly kind: "found"; readonly credentials: Credentials }
  | { readonly kind: "missing"; readonly message: string }
  /** Credentials exist but cannot be used. */
  | { readonly kind: "unusable"; readonly message: string };

/**
 * Finds credentials in the environment, else in the file that `modal setup` writes. Does not load the SDK.
 * @param readFile returns a file's text; null when there is no such file
 * @source Modal JS SDK 0.11.1, getProfile: the environment overrides the file, key by key. Modal's own command uses the
 * profile named "default" when none is active; the SDK takes none then
 */
export function findCredentials(env: Env, readFile: (path: string) => string | null): FoundCredentials {
  const path = env.MODAL_CONFIG_PATH || join(env.HOME || homedir(), ".modal.toml");
  const text = readFile(path);
  const profiles = text === null ? {} : parseProfiles(text);
  const wanted = env.MODAL_PROFILE || null;
  const variables = { tokenId: stringOf(env.MODAL_TOKEN_ID), tokenSecret: stringOf(env.MODAL_TOKEN_SECRET) };
  const complete = Boolean(variables.tokenId && variables.tokenSecret);
  // Reported here, because the SDK treats a malformed file as an empty one.
  if (profiles === null && !complete)
    return unusable(`${path} is not a file that "modal setup" writes. Run "modal setup" again.`);
  if (wanted !== null && !complete && !Object.hasOwn(profiles ?? {}, wanted)) {
    return unusable(`MODAL_PROFILE names the profile "${wanted}", which ${path} does not have.`);
  }
  const name = wanted ?? Object.keys(profiles ?? {}).find((each) => profiles?.[each]?.active === true) ?? "default";
  const profile: Profile = profiles?.[name] ?? {};
  const tokenId = variables.tokenId || stringOf(profile.token_id);
  const tokenSecret = variables.tokenSecret || stringOf(profile.token_secret);
  const settings = settingsOf(env, profile);
  const inFile = `profile "${name}" of ${path}`;
  const garbled = [
    ...(SENDABLE.test(tokenId) ? [] : [variables.tokenId ? "MODAL_TOKEN_ID" : `token_id in ${inFile}`]),
    ...(SENDABLE.test(tokenSecret) ? [] : [variables.tokenSecret ? "MODAL_TOKEN_SECRET" : `token_secret in ${inFile}`]),
  ];
  if (garbled.length > 0) {
    return unusable(
      `${garbled.join(" and ")} has characters that no Modal token has, such as line breaks or typographic quotes: copy the token again, or run "modal setup".`,
    );
  }
  if (tokenId && tokenSecret) {
    const source = complete ? "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET" : inFile;
    return { kind: "found", credentials: { kind: "token", tokenId, tokenSecret, source, ...settings } };
  }
  if (tokenId || tokenSecret) {
    return unusable(
      `A Modal token needs an id and a secret, and ${tokenId ? "the secret" : "the id"} is missing: set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, or run "modal setup".`,
    );
  }
  if (env.MODAL_OAUTH_REFRESH_TOKEN || stringOf(profile.oauth_refresh_token)) {
    return {
      kind: "found",
      credentials: {
        kind: "oauth",
        source: env.MODAL_OAUTH_REFRESH_TOKEN ? "MODAL_OAUTH_REFRESH_TOKEN" : inFile,
        ...settings,
      },
    };
  }
  return {
    kind: "missing",
    message: 'No Modal credentials were found: run "modal setup", or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.',
  };
}

function settingsOf(env: Env, profile: Profile): Pick<CredentialsSource, "settings"> {
  const environment = env.MODAL_ENVIRONMENT || stringOf(profile.environment);
  const imageBuilderVersion = env.MODAL_IMAGE_BUILDER_VERSION || stringOf(profile.image_builder_version);
  if (!environment && !imageBuilderVersion) return {};
  return { settings: { ...(environment && { environment }), ...(imageBuilderVersion && { imageBuilderVersion }) } };
}

/** What can be sent to Modal as a token. gRPC's error for anything else shows the value. */
const SENDABLE = /^[\x21-\x7e]*$/;

/** Strings and switches. */
type Profile = Readonly<Record<string, string | boolean>>;

/** By name. */
type Profiles = Readonly<Record<string, Profile>>;

/** The tables of a TOML file; values that are neither strings nor booleans are dropped. @returns null when the text is not TOML */
function parseProfiles(text: string): Profiles | null {
  try {
    const profiles = Object.entries(parse(text)).flatMap(([name, table]) => {
      if (typeof table !== "object" || table instanceof Date || Array.isArray(table)) return [];
      const kept = Object.entries(table).filter(([, value]) => typeof value === "string" || typeof value === "boolean");
      return [[name, Object.fromEntries(kept)] as const];
    });
    return Object.fromEntries(profiles) as Profiles;
  } catch (error) {
    if (error instanceof TomlError) return null;
    throw error;
  }
}

const unusable = (message: string): FoundCredentials => ({ kind: "unusable", message });

/** Without white space at its ends, which files with Windows line ends bring; "" = there is none. */
const stringOf = (value: string | boolean | undefined): string => (typeof value === "string" ? value.trim() : "");

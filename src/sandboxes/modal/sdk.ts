import { PluginError } from "../../shared/error-code.ts";
import { patchBunHttp2 } from "./bun-http2.ts";

/** Modal's SDK as a module. Types only: nothing of it is loaded by importing this file. */
export type ModalSdk = Pick<typeof import("modal"), "ModalClient">;

/** The release this adapter is written against; the SDK is below 1.0 and renames things between minors. */
export const SDK_VERSION = "0.11.1";

/** Loads the SDK, which costs a fifth of a second and so waits until it is needed. */
export const importSdk = async (): Promise<unknown> => {
  const sdk = await import("modal");
  patchBunHttp2();
  return sdk;
};

/**
 * What was loaded under the name `modal`, if it is Modal's SDK.
 * @throws PluginError `sandbox_create_failed`; npm's `latest` of that name is a dialog library by somebody else
 */
export async function loadSdk(load: () => Promise<unknown> = importSdk): Promise<ModalSdk> {
  const loaded = await load().catch((cause: unknown) => {
    throw unusable("Modal's SDK could not be loaded", cause);
  });
  const sdk = loaded as Partial<ModalSdk> | null;
  const client = sdk?.ModalClient;
  const version = typeof client === "function" && (client.prototype as { version?: () => unknown })?.version;
  if (typeof version !== "function")
    throw unusable('The package "modal" that was found is not Modal\'s SDK', undefined);
  const found = version.call({});
  if (found !== SDK_VERSION)
    throw unusable(`Modal's SDK ${String(found)} was found where ${SDK_VERSION} is needed`, undefined);
  return sdk as ModalSdk;
}

const unusable = (what: string, cause: unknown): PluginError =>
  new PluginError(
    "sandbox_create_failed",
    `${what}: install exactly "modal@${SDK_VERSION}" (npm's latest package of that name is another one).`,
    { cause, retryable: false },
  );

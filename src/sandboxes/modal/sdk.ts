import { PluginError } from "../../shared/error-code.ts";
import { patchBunHttp2 } from "./bun-http2.ts";
import { makeReadsPatient } from "./patient-reads.ts";

/** Modal's SDK as a module. Only a type: importing this file does not load the SDK. */
export type ModalSdk = Pick<typeof import("modal"), "ModalClient">;

/** The release that this adapter is written for. The SDK is below 1.0 and renames things between minor releases. */
export const SDK_VERSION = "0.11.1";

/** Loads the SDK. Takes about 200 ms, so call it only when the SDK is needed. */
export const importSdk = async (): Promise<unknown> => {
  const sdk = await import("modal");
  patchBunHttp2();
  makeReadsPatient();
  return sdk;
};

/**
 * Loads the package `modal` and checks that it is Modal's SDK in the right version.
 * @throws PluginError `sandbox_create_failed`: npm's `latest` version of that name is an unrelated dialog library
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

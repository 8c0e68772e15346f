import type { App, Logger, ModalClient } from "modal";
import type { Options } from "../../config/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeUntilFailure, PromiseCache } from "../../shared/memoize-until-failure.ts";
import { within } from "../../shared/time-limit.ts";
import { CallWatch } from "./call-watch.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import type { ModalLimits } from "./limits.ts";
import { loadSdk } from "./sdk.ts";
import { signedCalls } from "./signed-calls.ts";
import { throttledCalls } from "./throttled-calls.ts";

/** Longest delay the server may ask for before the call fails instead of waiting. */
const MAX_THROTTLE_SECONDS = 30;

export interface ModalAccessDeps {
  readonly options: Pick<Options["modal"], "app" | "environment">;
  readonly credentials: Credentials;
  /** The user's present credentials, for when Modal refuses these; null = there are none. Absent = these are all. */
  readonly readCredentials?: () => Credentials | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ModalLimits;
  /** Replaces `import("modal")` in tests. */
  readonly load?: () => Promise<unknown>;
}

/** The SDK's client and our app, made on first use. After a failure they are tried again: the user may fix the cause. */
export class ModalAccess {
  readonly #deps: ModalAccessDeps;
  readonly #client = memoizeUntilFailure(() => this.#connect());
  readonly #app = new PromiseCache<null, App>();
  #appID: string | null = null;
  /** Shows the replies to the client's calls. */
  readonly watch = new CallWatch();
  #closed = false;
  #credentials: Credentials;

  constructor(deps: ModalAccessDeps) {
    this.#deps = deps;
    this.#credentials = deps.credentials;
  }

  /** Those in use. */
  get credentials(): Credentials {
    return this.#credentials;
  }

  /** @throws PluginError `sandbox_create_failed`, with the remedy */
  client(): Promise<ModalClient> {
    if (this.#closed)
      return Promise.reject(
        new PluginError("sandbox_create_failed", "The Modal provider is closed.", { retryable: false }),
      );
    return this.#client();
  }

  /** @throws PluginError `sandbox_create_failed`, `sandbox_create_timeout`, with the remedy */
  app(): Promise<App> {
    return this.#app.getOrMake(null, async () => {
      const app = await this.#findApp();
      this.#appID = app.appId;
      return app;
    });
  }

  /** Has this app looked up again at the next call: Modal no longer knows it. */
  forgetApp({ appId }: Pick<App, "appId">): void {
    if (appId === this.#appID) this.#app.delete(null);
  }

  async close(): Promise<void> {
    this.#closed = true;
    (await this.#client.current()?.catch(() => null))?.close(); // one that failed to connect holds nothing
  }

  async #connect(): Promise<ModalClient> {
    const { load, log } = this.#deps;
    const { credentials } = this;
    const { ModalClient } = await loadSdk(load);
    const { tokenId, tokenSecret } = credentials.kind === "token" ? credentials : {};
    const renew = (profile: ModalClient["profile"]) => this.#renew(profile);
    try {
      const client: ModalClient = new ModalClient({
        ...(tokenId !== undefined && tokenSecret !== undefined && { tokenId, tokenSecret }),
        maxThrottleWaitSecs: MAX_THROTTLE_SECONDS,
        grpcMiddleware: [signedCalls({ client: () => client, renew }), this.watch.middleware, throttledCalls],
        // The SDK's default logger writes to stderr, which is OpenCode's terminal UI.
        logger: toSdkLogger(log),
        logLevel: "warn",
      });
      Object.assign(client.profile, this.#settings());
      return client;
    } catch (error) {
      throw createFailure(error, { doing: "connect to Modal", credentials });
    }
  }

  #settings(): { readonly environment?: string; readonly imageBuilderVersion?: string } {
    const { environment } = this.#deps.options;
    return { ...this.#credentials.settings, ...(environment !== null && { environment }) };
  }

  #renew(profile: ModalClient["profile"]): boolean {
    const found = this.#deps.readCredentials?.() ?? null;
    if (found?.kind !== "token") return false; // those of OAuth the SDK has read for good
    const { tokenId, tokenSecret, source } = found;
    if (tokenId === profile.tokenId && tokenSecret === profile.tokenSecret) return false;
    Object.assign(profile, { tokenId, tokenSecret, oauthRefreshToken: undefined });
    this.#credentials = found;
    Object.assign(profile, this.#settings());
    this.#deps.log("info", "Modal refused the credentials; those of now are used", { source });
    return true;
  }

  async #findApp(): Promise<App> {
    const { options, clock, limits } = this.#deps;
    const client = await this.client();
    const finding = client.apps.fromName(options.app, {
      createIfMissing: true,
      ...(options.environment !== null && { environment: options.environment }),
    });
    return within(finding, { clock, limitMs: limits.callMs, doing: `Looking up Modal app "${options.app}"` }).catch(
      (error: unknown) => {
        throw createFailure(error, {
          doing: `find the Modal app "${options.app}"`,
          credentials: this.credentials,
          missing: missingApp(options.app, client.environmentName()),
          isLookup: true,
        });
      },
    );
  }
}

const missingApp = (app: string, environment: string): string =>
  environment === ""
    ? `The Modal app "${app}" could neither be found nor created: check modal.app, and that the account has a default environment.`
    : `The Modal environment "${environment}" or its app "${app}" does not exist: check modal.environment (else that of the profile is used) and modal.app, or run "modal environment create ${environment}".`;

function toSdkLogger(log: Log): Logger {
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, ...pairs: unknown[]) =>
      log(level, "Modal's SDK says", { message, ...toFields(pairs) });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function toFields(pairs: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (let at = 0; at + 1 < pairs.length; at += 2) fields[String(pairs[at])] = pairs[at + 1];
  return fields;
}

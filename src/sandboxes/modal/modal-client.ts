import type { App, Logger, ModalClient } from "modal";
import type { Options } from "../../config/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import type { ModalLimits } from "./limits.ts";
import { loadSdk } from "./sdk.ts";

/** The server may ask us to come back later; for longer than this the caller decides. */
const MAX_THROTTLE_SECONDS = 30;

export interface ModalAccessDeps {
  readonly options: Pick<Options["modal"], "app" | "environment">;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ModalLimits;
  /** In place of `import("modal")`. */
  readonly load?: () => Promise<unknown>;
}

/** The client and the app, made on first use and remembered once they are there. */
export class ModalAccess {
  readonly #deps: ModalAccessDeps;
  #client: Promise<ModalClient> | null = null;
  #app: Promise<App> | null = null;
  #closed = false;

  constructor(deps: ModalAccessDeps) {
    this.#deps = deps;
  }

  client(): Promise<ModalClient> {
    if (this.#closed)
      return Promise.reject(
        new PluginError("sandbox_create_failed", "The Modal provider is closed.", { retryable: false }),
      );
    this.#client ??= this.#connect().catch((error: unknown) => {
      this.#client = null; // Only a success is remembered: the user may repair what was wrong.
      throw error;
    });
    return this.#client;
  }

  /** @throws PluginError `sandbox_create_failed`, with the remedy */
  app(): Promise<App> {
    this.#app ??= this.#findApp().catch((error: unknown) => {
      this.#app = null;
      throw error;
    });
    return this.#app;
  }

  async close(): Promise<void> {
    this.#closed = true;
    (await this.#client?.catch(() => null))?.close();
  }

  async #connect(): Promise<ModalClient> {
    const { credentials, options, load, log } = this.#deps;
    const { ModalClient } = await loadSdk(load);
    const { tokenId, tokenSecret } = credentials.kind === "token" ? credentials : {};
    try {
      return new ModalClient({
        ...(tokenId !== undefined && tokenSecret !== undefined && { tokenId, tokenSecret }),
        ...(options.environment !== null && { environment: options.environment }),
        maxThrottleWaitSecs: MAX_THROTTLE_SECONDS,
        // Its own writes to stderr, over the terminal UI.
        logger: toSdkLogger(log),
        logLevel: "warn",
      });
    } catch (error) {
      throw createFailure(error, { doing: "connect to Modal", credentials });
    }
  }

  async #findApp(): Promise<App> {
    const { options, clock, limits, credentials } = this.#deps;
    const client = await this.client();
    const finding = client.apps.fromName(options.app, {
      createIfMissing: true,
      ...(options.environment !== null && { environment: options.environment }),
    });
    return within(finding, { clock, limitMs: limits.callMs, doing: `Looking up Modal app "${options.app}"` }).catch(
      (error: unknown) => {
        throw createFailure(error, {
          doing: `find the Modal app "${options.app}"`,
          credentials,
          missing: missingApp(options),
          isLookup: true,
        });
      },
    );
  }
}

const missingApp = ({ app, environment }: ModalAccessDeps["options"]): string =>
  environment === null
    ? `The Modal app "${app}" could neither be found nor made: check modal.app, and that the account has a default environment.`
    : `The Modal environment "${environment}" or its app "${app}" does not exist: check modal.environment and modal.app, or run "modal environment create ${environment}".`;

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

import { PluginError } from "../shared/error-code.ts";

/** The provider's account has reached one of its limits, which is no lack of machines: another one would be refused too. */
export class AccountLimitError extends PluginError {
  constructor(message: string, options: ErrorOptions) {
    super("no_capacity", message, { ...options, retryable: true });
  }
}

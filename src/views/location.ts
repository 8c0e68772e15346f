import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";

/** Whether jobs are isolated from this machine. Only the user can switch isolation off, by name. */
export const isIsolated = (provider: ProviderName, { isolation }: Pick<Options["local"], "isolation">): boolean =>
  provider !== "local" || isolation !== "none";

/** Where jobs run, as words that follow "Jobs run". */
export function describeLocation(provider: ProviderName, local: Pick<Options["local"], "isolation">): string {
  switch (provider) {
    case "modal":
      return "on Modal";
    case "local":
      if (isIsolated(provider, local)) return "in local sandboxes on this machine";
      return 'on this machine WITHOUT isolation, as you and with all that you may do: your option "local.isolation" is "none"';
  }
}

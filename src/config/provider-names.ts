/** Where sandboxes can run. The option `provider` takes these names, and the state files record them. */
export const PROVIDER_NAMES = ["modal", "local"] as const;

export type ProviderName = (typeof PROVIDER_NAMES)[number];

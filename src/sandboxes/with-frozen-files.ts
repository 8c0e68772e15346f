import type { Sandbox } from "./port.ts";

/** Lets `use` read and write a sandbox's files while its processes are frozen, where the provider can do that. */
export const withFrozenFiles = <T>(sandbox: Sandbox, use: (files: Sandbox) => Promise<T>): Promise<T> =>
  sandbox.view ? sandbox.view(use) : use(sandbox);

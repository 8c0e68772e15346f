import type { Sandbox } from "./port.ts";

/** Lets `use` have a sandbox's files where nothing that runs in it can be in the way, as far as its provider can do that. */
export const withStillFiles = <T>(sandbox: Sandbox, use: (files: Sandbox) => Promise<T>): Promise<T> =>
  sandbox.view ? sandbox.view(use) : use(sandbox);

import { createHash } from "node:crypto";
import { type Environment, setupOf } from "../../config/environment.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { toSandboxEnv } from "../../sandboxes/environment.ts";

export interface ContentFacts {
  readonly provider: ProviderName;
  /** Absolute root of the project whose files the image has; null = it has none. */
  readonly project: string | null;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  /** Keeps a short value of a variable from being found out by trying: the key is written down, the values never are. */
  readonly salt: string;
}

/** Names what an environment's set-up is made from. Two environments share a key only if their set-ups leave the same. */
export function contentKey(environment: Environment, { provider, project, hostEnv, salt }: ContentFacts): string {
  const { image, imageSecret, workspace, workdir, secrets, volumes, buckets, network, proxy, cloud, runtime } =
    environment;
  const variables = Object.entries(toSandboxEnv(environment, hostEnv)).sort(byName);
  const content = [
    ...[provider, project, salt, image, imageSecret, setupOf(environment), workspace, workdir, variables],
    ...[[...secrets].sort(), Object.entries(volumes).sort(byName), Object.entries(buckets).sort(byName)],
    ...[network, proxy, cloud, runtime],
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32);
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

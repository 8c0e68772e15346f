import type { Environment } from "../config/environment.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Variables that name a proxy. Programs read most of them in either case; npm, pip and Yarn have their own besides. */
const PROXIES = [
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "ALL_PROXY",
  "npm_config_https_proxy",
  "npm_config_proxy",
  "PIP_PROXY",
  "YARN_HTTPS_PROXY",
  "YARN_HTTP_PROXY",
].flatMap((name) => [...new Set([name, name.toUpperCase(), name.toLowerCase()])]);

/**
 * What a job should know of the proxy through which this machine reaches the network, without the proxy's address: it may
 * hold a password.
 * @param sandboxEnv the variables of the job's sandbox
 */
export function proxyNotes(hostEnv: Env, sandboxEnv: Env, { network }: Pick<Environment, "network">): string[] {
  if (network === "blocked") return [];
  const ofHost = namesIn(hostEnv);
  const missing = namesIn(sandboxEnv).length === 0 ? ofHost : [];
  const unreachable = namesIn(sandboxEnv).filter((name) => isLoopback(sandboxEnv[name] ?? ""));
  return [
    ...(missing.length > 0 ? [missingNote(missing, missing.some((name) => isLoopback(hostEnv[name] ?? "")))] : []), // biome-ignore format: one line
    ...(unreachable.length > 0
      ? [
          `${unreachable.join(", ")} in the sandbox names a proxy on localhost, where the sandbox finds only itself: give the environment's "env" a proxy that it can reach.`,
        ]
      : []),
  ];
}

function missingNote(names: readonly string[], isLocal: boolean): string {
  const fact = `This machine reaches the network through a proxy (${names.join(", ")}), which is not set in the sandbox.`;
  return isLocal
    ? `${fact} It is on localhost, which a sandbox cannot reach: if the job finds no network, give its environment's "env" a proxy that it can reach.`
    : `${fact} If the job finds no network without it, name ${names.join(" and ")} in its environment's "hostEnv".`;
}

const namesIn = (env: Env): string[] => PROXIES.filter((name) => (env[name] ?? "") !== "");

const isLoopback = (url: string): boolean =>
  /^(?:[a-z0-9]+:\/\/)?(?:[^@/]*@)?(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|\[?::1\]?)(?:[:/]|$)/i.test(url.trim());

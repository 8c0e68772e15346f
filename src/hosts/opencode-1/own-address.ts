type Env = Record<string, string | undefined>;

/**
 * Has requests to OpenCode's own address go to it directly: Bun sends those too through HTTP_PROXY, with the server's
 * password in them. What the user has excepted stays excepted. Only this address is added, so that everything else keeps
 * its way.
 * @param env of this process, which is changed: Bun asks it at each request, and has no other way to say this
 * @source Bun 1.3.14, verified: where both are set it goes by `no_proxy`
 */
export function reachDirectly(env: Env, baseUrl: unknown): void {
  const proxy = [env.HTTP_PROXY, env.http_proxy].find((value) => value !== undefined && value !== "");
  if (proxy === undefined || typeof baseUrl !== "string" || !URL.canParse(baseUrl)) return;
  const { host } = new URL(baseUrl);
  const given = { NO_PROXY: env.NO_PROXY || env.no_proxy, no_proxy: env.no_proxy || env.NO_PROXY };
  for (const name of ["NO_PROXY", "no_proxy"] as const) {
    const hosts = (given[name] ?? "").split(",").map((one) => one.trim());
    env[name] = [...new Set([...hosts, host])].filter((one) => one !== "").join(",");
  }
}

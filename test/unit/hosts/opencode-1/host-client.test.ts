import { describe, expect, test } from "bun:test";
import { createHostClient, unwrap } from "../../../../src/hosts/opencode-1/host-client.ts";
import { reachDirectly } from "../../../../src/hosts/opencode-1/own-address.ts";

/** As OpenCode 1.18.33 gives it where its server has a password. */
const inputFor = (answer: (request: Request) => Response) => ({
  client: {
    _client: {
      getConfig: () => ({
        baseUrl: "http://127.0.0.1:4096",
        headers: new Headers({
          Authorization: "Basic b3BlbmNvZGU6c2VjcmV0",
          "x-opencode-directory": "/home/ada/project",
        }),
        fetch: async (request: Request) => answer(request),
      }),
    },
  } as never,
});

test("requests carry the credentials that OpenCode gives with its transport", async () => {
  const seen: (string | null)[] = [];
  const client = createHostClient(
    inputFor(({ headers }) => {
      seen.push(headers.get("authorization"));
      return Response.json([]);
    }),
  );
  await client.app.agents();
  expect(seen).toEqual(["Basic b3BlbmNvZGU6c2VjcmV0"]);
});

test.each([
  ["without a reason", new Response("", { status: 401 }), /^Could not list the agents: .*\(HTTP status 401\)$/],
  [
    "with one",
    Response.json({ name: "BadRequest", data: { message: "no such agent" } }, { status: 400 }),
    /^Could not list the agents: no such agent \(HTTP status 400\)$/,
  ],
])("a refusal %s is told with its HTTP status", async (_what, answer, expected) => {
  const client = createHostClient(inputFor(() => answer));
  expect(unwrap(client.app.agents(), "session_create_failed", "list the agents")).rejects.toThrow(expected);
});

describe("behind a proxy OpenCode is reached directly", () => {
  const own = "127.0.0.1:4096";
  test.each<[string, Record<string, string>, Record<string, string>]>([
    ["nothing is excepted yet", {}, { NO_PROXY: own, no_proxy: own }],
    [
      "something is",
      { NO_PROXY: "a.corp, b.corp" },
      { NO_PROXY: `a.corp,b.corp,${own}`, no_proxy: `a.corp,b.corp,${own}` },
    ],
    ["two differ", { NO_PROXY: "a", no_proxy: "b" }, { NO_PROXY: `a,${own}`, no_proxy: `b,${own}` }],
    ["it is excepted already", { NO_PROXY: own, no_proxy: own }, { NO_PROXY: own, no_proxy: own }],
  ])("where %s", (_what, given, expected) => {
    const env = { http_proxy: "http://proxy.corp:8080", ...given };
    reachDirectly(env, "http://127.0.0.1:4096/");
    expect(env).toEqual({ http_proxy: "http://proxy.corp:8080", ...expected });
  });

  test("without a proxy, and without an address, the environment stays as it is", () => {
    for (const [env, url] of [
      [{}, "http://127.0.0.1:4096"],
      [{ HTTP_PROXY: "" }, "http://127.0.0.1:4096"],
      [{ HTTP_PROXY: "http://proxy.corp:8080" }, undefined],
    ] as const) {
      const changed = { ...env };
      reachDirectly(changed, url);
      expect(changed).toEqual({ ...env });
    }
  });
});

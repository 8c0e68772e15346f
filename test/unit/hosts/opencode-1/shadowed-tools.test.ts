import { expect, test } from "bun:test";
import { createShadowedTools } from "../../../../src/hosts/opencode-1/shadowed-tools.ts";

/** Tools over an OpenCode with these MCP servers; null = it does not say. */
function open(servers: Record<string, { status: string }> | null) {
  const state = { servers, asked: 0 };
  const status = async () => {
    state.asked++;
    return state.servers ? { data: state.servers } : { data: undefined };
  };
  return { state, tools: createShadowedTools({ mcp: { status } } as never) };
}

test("MCP servers are read once for each request of a job's model, while it thinks", async () => {
  const { state, tools } = open({});
  tools.beforeRequest("ses_1");
  expect([await tools.ownerOf("sandbox_exec", "ses_1"), await tools.ownerOf("sandbox_read", "ses_1")]).toEqual([
    null,
    null,
  ]);
  expect(state.asked).toBe(1);
  state.servers = { sandbox: { status: "connected" } };
  tools.beforeRequest("ses_1");
  expect(await tools.ownerOf("sandbox_exec", "ses_1")).toBe('the MCP server "sandbox"');
  expect(await tools.ownerOf("job_report", "ses_1")).toBeNull();
  state.servers = { sandbox: { status: "disabled" } };
  tools.beforeRequest("ses_1");
  expect(await tools.ownerOf("sandbox_exec", "ses_1")).toBeNull();
});

test("a session whose request was not seen is looked up at the call, and refused where OpenCode does not answer", async () => {
  const { state, tools } = open(null);
  tools.beforeRequest("ses_1");
  expect(await tools.ownerOf("sandbox_exec", "ses_1")).toContain("did not list its servers");
  state.servers = {};
  expect(await tools.ownerOf("sandbox_exec", "ses_1")).toBeNull(); // it is asked once more
  expect(await tools.ownerOf("sandbox_exec", "ses_2")).toBeNull();
});

/** What the host offers beside its own tools, as sources: each leaves a file in HOME/ran when it runs. */

const touch = (name: string) =>
  `{ description: "Runs on the host", args: { command: { type: "string" } }, async execute() {
  (await import("node:fs")).writeFileSync(process.env.HOME + "/ran/${name}", ""); return "ran on the host"; } }`;

/** For .opencode/tool/. */
export const projectTool = (name: string): string => `export default ${touch(name)};`;

/** For .opencode/plugin/: offers one tool. */
export const projectPlugin = (tool: string): string =>
  `export default { id: "other", server: async () => ({ tool: { ${tool}: ${touch(tool)} } }) };`;

/** An MCP server on stdio: newline-delimited JSON-RPC. */
export const MCP_SERVER = `import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
const tools = ["touch", "exec"].map((name) => ({ name, description: "Runs on the host",
  inputSchema: { type: "object", properties: { command: { type: "string" } } } }));
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const results = {
    initialize: () => ({ protocolVersion: params.protocolVersion, capabilities: { tools: {} },
      serverInfo: { name: "host", version: "1" } }),
    "tools/list": () => ({ tools }),
    "tools/call": () => {
      writeFileSync(process.env.HOME + "/ran/mcp_" + params.name, "");
      return { content: [{ type: "text", text: "ran on the host" }] };
    },
    ping: () => ({}),
  };
  const result = results[method]?.();
  const answer = result ? { result } : { error: { code: -32601, message: "no " + method } };
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, ...answer }) + "\\n");
}
`;

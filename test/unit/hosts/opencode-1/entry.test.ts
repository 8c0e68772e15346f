import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PluginModule } from "@opencode-ai/plugin";
import plugin from "../../../../src/index.ts";

test("the package's entry is a plugin module of OpenCode 1 and loads nothing by itself", () => {
  const { id, server } = plugin satisfies PluginModule;
  expect([id, typeof server]).toEqual(["parallel-agents", "function"]);
  const text = readFileSync(join(import.meta.dirname, "../../../../src/index.ts"), "utf8");
  expect(text).not.toMatch(/^import /m);
});

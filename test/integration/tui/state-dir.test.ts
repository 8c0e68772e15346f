import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TuiPluginApi, TuiPluginMeta } from "@opencode-ai/plugin/tui";
import { findStateDir } from "../../../src/tui/state-dir.ts";

const SPEC = "file:///somewhere/the-plugin";

const homes: string[] = [];
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
});

/** @param plugins as the host's configuration has them; @param file the user's file of options */
function find(plugins: unknown, { options, file, env }: { options?: unknown; file?: unknown; env?: object } = {}) {
  const home = mkdtempSync(join(tmpdir(), "tui-"));
  homes.push(home);
  if (file !== undefined) {
    mkdirSync(join(home, ".config/opencode"), { recursive: true });
    writeFileSync(join(home, ".config/opencode/parallel-agents.jsonc"), JSON.stringify(file));
  }
  const path = { directory: join(home, "project"), worktree: "", config: "", state: "" };
  const state = { config: { plugin: plugins }, path } as unknown as Pick<TuiPluginApi["state"], "config" | "path">;
  return findStateDir(state, { spec: SPEC } as TuiPluginMeta, options, { HOME: home, ...env }).then(
    (found) => found?.replace(home, "~") ?? null,
  );
}

test("the options beside the plugin's name count, those of another plugin do not", async () => {
  expect(
    await find([
      ["file:///other", { stateDir: "/other" }],
      [SPEC, { stateDir: "/mine" }],
    ]),
  ).toBe("/mine");
  expect(await find(["file:///other", SPEC])).toBe("~/.local/share/opencode/parallel-agents");
});

test("so do the user's file of options, the options of tui.json, and the user's folder for data", async () => {
  expect(await find([SPEC], { file: { stateDir: "~/elsewhere" } })).toBe("~/elsewhere");
  expect(await find([SPEC], { options: { stateDir: "/of-tui" } })).toBe("/of-tui");
  expect(await find(undefined, { env: { XDG_DATA_HOME: "/data" } })).toBe("/data/opencode/parallel-agents");
});

test("with options that are not valid there is no state, as the server part does not start", async () => {
  expect(await find([[SPEC, { stateDir: "relative" }]])).toBeNull();
  expect(await find([[SPEC, { noSuchOption: true }]])).toBeNull();
});

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseGpu } from "../../../src/config/gpu.ts";
import { pricesOf, ratesOf, tableOf } from "../../../src/config/prices.ts";
import { resourcesOf } from "../../../src/config/resources.ts";
import { optionsOf } from "../../unit/config/load-with.ts";
import { SKILLS } from "./python.ts";

/* The recipe that users paste into their opencode.json, and the prices beside it. */

const text = readFileSync(join(SKILLS, "parameter-golf/SKILL.md"), "utf8");
const recipe = JSON.parse(/```json\n([\s\S]*?)```/.exec(text)?.[1] ?? "null");
const environments = async () => {
  const [[name, tuple]] = recipe.plugin;
  expect([recipe.plugin.length, name]).toEqual([1, "/absolute/path/to/opencode-parallel-agents"]);
  return (await optionsOf({ tuple })).environments;
};

test("the skill's recipe is accepted by the loader of options, without a word", async () => {
  expect(Object.keys(recipe)).toEqual(["plugin"]);
  const { golf, "golf-8": eight } = await environments();
  expect(golf).toMatchObject({ gpu: "H100!", cpu: 2, memoryMiB: 16_384 });
  expect(eight).toMatchObject({ gpu: "H100!:8", cpu: 16, memoryMiB: 131_072, env: { NCCL_IB_DISABLE: "1" } });
  for (const each of [golf, eight]) expect(Object.keys(each?.volumes ?? {})).toEqual(["/data", "/runs"]);
});

test("both environments have one image, with a pinned torch", async () => {
  const { golf, "golf-8": eight } = await environments();
  expect(eight?.image).toEqual(golf?.image as never);
  expect(JSON.stringify(golf?.image)).toMatch(/ torch==\d+\.\d+\.\d+ /);
});

test("every GPU that the skill names is one of Modal's", () => {
  const named = [...text.matchAll(/`(?:gpu: ")?((?:H100|H200|A100)[!\w:-]*)"?`/g)].map(([, gpu = ""]) => gpu);
  expect(named).toContain("H100!:8");
  expect(named.filter((gpu) => parseGpu(gpu).kind === "invalid")).toEqual(
    ["H100 NVL"].filter((gpu) => named.includes(gpu)),
  );
});

test("the table of costs is minutes times the environments' prices", async () => {
  const { golf, "golf-8": eight } = await environments();
  const rates = [golf, eight].map((each) => {
    if (!each) throw new Error("the recipe lacks an environment");
    const parsed = parseGpu(each.gpu ?? "");
    const gpu = parsed.kind === "ok" ? (parsed.preferences[0] ?? null) : null;
    return ratesOf(resourcesOf(each, gpu), gpu, pricesOf(tableOf("modal"), {}));
  });
  const [one = 0, all = 0] = rates.map(({ least }) => least);
  expect(text).toContain(`twice the request (${rates.map(({ most }) => `$${most.toFixed(2)}`).join(" and ")})`);
  expect(text).toContain(`Per hour $${one.toFixed(2)} and $${all.toFixed(2)}.`);
  const rows = text.split("\n").filter((line) => /^\| (?:boot|compile|train|compress|sum)/.test(line));
  const cells = rows.map((row) =>
    row
      .split("|")
      .slice(2, 6)
      .map((cell) => cell.trim()),
  );
  for (const [minutes, usd, minutes8, usd8] of cells) {
    if (minutes) expect(usd).toBe(((Number(minutes) * one) / 60).toFixed(2));
    expect(usd8).toBe(((Number(minutes8) * all) / 60).toFixed(2));
  }
  const sum = (at: number) => cells.slice(0, 4).reduce((total, row) => total + Number(row[at]), 0);
  expect(cells[4]).toEqual([String(sum(0)), expect.any(String), String(sum(2)), expect.any(String)]);
});

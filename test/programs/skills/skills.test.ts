import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ratesOf, tableOf } from "../../../src/config/prices.ts";
import { resourcesOf } from "../../../src/config/resources.ts";
import { SKILLS } from "./python.ts";

const names = readdirSync(SKILLS);
const read = (name: string) => readFileSync(join(SKILLS, name, "SKILL.md"), "utf8");
const scriptsOf = (name: string): string[] => {
  const folder = join(SKILLS, name, "scripts");
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** The fields between the first two lines of three dashes; each a plain `key: value`. */
function frontmatter(text: string): Record<string, string> {
  const [, head] = /^---\n([\s\S]*?)\n---\n/.exec(text) ?? [];
  if (head === undefined) return {};
  return Object.fromEntries(
    head.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]),
  );
}

test("the four skills exist", () => {
  expect(names.sort()).toEqual(["mnist-frameworks", "parallel-agents", "parameter-golf", "research-loop"]);
});

test("the price of the MNIST demonstration is four T4 for three minutes, alone and with what their sandboxes reserve", () => {
  const gpu = { type: "T4", count: 1, exact: false };
  const hours = (4 * 3) / 60;
  const none = { cpu: null, cpuLimit: null, memoryMiB: null, memoryLimitMiB: null };
  const alone = (tableOf("modal").gpus.T4 ?? Number.NaN) * hours;
  const { least } = ratesOf(resourcesOf(none, gpu), gpu, tableOf("modal"));
  const usd = (amount: number) => `$${amount.toFixed(2)}`;
  expect(read("mnist-frameworks")).toContain(`about ${usd(alone)}, or ${usd(least * hours)} with the CPU and memory`);
});

describe.each(names)("skill %s", (name) => {
  const text = read(name);

  test("has its folder's name and a description", () => {
    const fields = frontmatter(text);
    expect(Object.keys(fields).sort()).toEqual(["description", "name"]);
    expect(fields.name).toBe(name);
    expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(fields.description?.length).toBeWithin(40, 1024);
    expect(fields.description).not.toContain(": "); // would end the plain value of YAML
  });

  test("is short enough to be read in full", () => {
    expect(text.split("\n").length).toBeLessThan(150);
  });

  test("names exactly the scripts it has", () => {
    const named = [...text.matchAll(/<skill>\/scripts\/([\w.-]+)/g)].map(([, file = ""]) => file);
    expect(named.filter((file) => !scriptsOf(name).includes(file))).toEqual([]);
    expect(scriptsOf(name).filter((file) => !text.includes(file))).toEqual([]);
  });

  test("has scripts that start and describe themselves", () => {
    for (const file of scriptsOf(name)) {
      const path = join(SKILLS, name, "scripts", file);
      expect(statSync(path).mode & 0o100, file).toBeGreaterThan(0);
      expect(readFileSync(path, "utf8"), file).toMatch(/^#!\/(usr\/bin\/env python3\n"""|bin\/sh\n# )/);
    }
  });

  test("uses the scripts' names for job_report metrics", () => {
    const scripts = scriptsOf(name).map((file) => readFileSync(join(SKILLS, name, "scripts", file), "utf8"));
    const reported = text.split("\n").filter((line) => /`job_report`/.test(line) && /metrics/.test(line));
    const metrics = reported.flatMap((line) => [...line.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, m = ""]) => m));
    const known = [...scripts, "job_report", "sandbox_process"].join("\n");
    if (scripts.length > 0) expect(metrics.filter((metric) => !known.includes(metric))).toEqual([]);
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Command, UsageError } from "../../../src/cli/command.ts";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { runCommandLine } from "../../../src/cli/run-command-line.ts";
import { PluginError } from "../../../src/shared/error-code.ts";

const boil: Command = {
  name: "boil",
  summary: "boil water",
  help: "Example\n  opencode-parallel-agents boil kettle",
  options: { json: { type: "boolean" }, degrees: { type: "string" } },
  mostWords: 1,
  async run({ words, text, has, print }) {
    if (words[0] === "nothing") throw new UsageError("There is nothing to boil.");
    if (words[0] === "stone") throw new PluginError("not_found", "No stone boils.");
    print(JSON.stringify({ words, degrees: text("degrees"), json: has("json") }));
    return 0;
  },
};

async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(args, [boil, ...COMMANDS], {
    write: (text) => void out.push(text),
    writeError: (text) => void err.push(text),
  });
  return { code, out: out.join(""), err: err.join("") };
}

describe("the command line", () => {
  test("runs the command that is named, wherever its options stand", async () => {
    const out = `${JSON.stringify({ words: ["kettle"], degrees: "90", json: true })}\n`;
    expect(await run("boil", "--degrees", "90", "kettle", "--json")).toEqual({ code: 0, out, err: "" });
    expect(await run("--json", "boil", "kettle", "--degrees=90")).toEqual({ code: 0, out, err: "" });
    expect(await run("--degrees", "90", "boil", "kettle", "--json")).toEqual({ code: 0, out, err: "" });
  });

  for (const [typed, near] of [
    ["biol", "boil"],
    ["bo", "boil"],
    ["cg", "gc"],
    ["BOIL", "boil"],
  ] as const)
    test(`answers "${typed}" with "${near}"`, async () => {
      const { code, out, err } = await run(typed);
      expect([code, out]).toEqual([2, ""]);
      expect(err).toStartWith(`Unknown command "${typed}". Did you mean "${near}"?\n`);
    });

  test("names no command for a word that is like none, and shows no escape codes of it", async () => {
    const { code, err } = await run("\u001b[31mxyzzy\u202e");
    expect([code, err.split("\n")[0]]).toEqual([2, 'Unknown command "xyzzy".']);
    expect((await run("__proto__")).err).toStartWith('Unknown command "__proto__".');
  });

  test("answers an unknown option with the nearest one, and a missing or needless value", async () => {
    expect(await run("boil", "--degree", "90")).toMatchObject({
      code: 2,
      err: '"boil" has no option "--degree". Did you mean "--degrees"?\nSee: opencode-parallel-agents boil --help\n',
    });
    for (const args of [["--degrees"], ["--json=yes"], ["a", "b"], ["nothing"], ["--constructor"]])
      expect((await run("boil", ...args)).code).toBe(2);
  });

  test("prints a failure as text, or as JSON where that was asked for", async () => {
    expect(await run("boil", "stone")).toEqual({ code: 1, out: "", err: "not_found: No stone boils.\n" });
    const { code, out, err } = await run("boil", "stone", "--json");
    const error = { code: "not_found", message: "No stone boils." };
    expect([code, JSON.parse(out), err]).toEqual([1, { error }, ""]);
  });

  test("lists all commands without one, and for --help", async () => {
    const { code, out, err } = await run();
    expect([code, out]).toEqual([2, ""]);
    expect((await run("--help")).out).toBe(err.slice(err.indexOf("opencode-parallel-agents <command>")));
    expect((await run("help", "boil")).out).toBe((await run("boil", "--help")).out);
  });

  for (const { name, summary } of COMMANDS)
    test(`${name} --help teaches with an example and names all its options`, async () => {
      const { code, out } = await run(name, "--help");
      expect(code).toBe(0);
      expect(out).toStartWith(`opencode-parallel-agents ${name}: ${summary}\n`);
      expect(out).toContain(`  opencode-parallel-agents ${name} `);
      expect(out).toMatch(/\nExamples?\n/);
      const options = Object.keys(COMMANDS.find((command) => command.name === name)?.options ?? {});
      for (const option of [...options, "help"]) expect(out).toContain(`\n  --${option} `);
      for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
    });

  test("ends with an exit code and never throws, whatever is typed", async () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom("boil", "--json", "--degrees", "--help", "--", "-", "help", "="),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 4 }), async (args) => {
        if (args.includes("gc")) return;
        expect([0, 1, 2]).toContain((await run(...args)).code);
      }),
    );
  });
});

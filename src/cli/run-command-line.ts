import { type ParseArgsConfig, parseArgs } from "node:util";
import { closest } from "../config/spelling.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { type Command, type CommandCall, UsageError } from "./command.ts";

export interface CommandLineOutput {
  /** To standard output. */
  write(text: string): void;
  /** To standard error. */
  writeError(text: string): void;
}

/** Runs the command that `args` name. @returns the exit code: 0 on success, 1 if something failed, 2 if `args` are not understood */
export async function runCommandLine(
  given: readonly string[],
  commands: readonly Command[],
  output: CommandLineOutput,
): Promise<number> {
  const args = withValues(given, commands);
  const position = args.findIndex((arg, index) => !arg.startsWith("-") && !takesValue(args[index - 1], commands));
  const word = position < 0 ? null : (args[position] ?? "");
  const wantsHelp = args.includes("--help") || args.includes("-h");
  if (word === null || word === "help") {
    const named = word === null ? undefined : args.slice(position + 1).find((arg) => !arg.startsWith("-"));
    if (named !== undefined) return runCommandLine([named, "--help"], commands, output);
    if (word === null && !wantsHelp) return refuse(args.length === 0 ? "Name a command." : "Name a command first.");
    output.write(overview(commands));
    return 0;
  }
  const command = commands.find(({ name }) => name === word);
  if (!command) return refuse(`Unknown command ${quoted(word)}.${meant(word, commands.map(({ name }) => name))}`); // biome-ignore format: one line
  if (wantsHelp) {
    output.write(helpOf(command));
    return 0;
  }
  const rest = args.filter((_, index) => index !== position);
  try {
    return await command.run(understand(command, rest, output));
  } catch (error) {
    if (error instanceof UsageError) {
      output.writeError(`${error.message}\nSee: opencode-parallel-agents ${command.name} --help\n`);
      return 2;
    }
    if (!(error instanceof PluginError)) throw error;
    const { code, message } = error;
    if (rest.includes("--json")) output.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
    else output.writeError(`${code}: ${message}\n`);
    return 1;
  }

  function refuse(problem: string): number {
    output.writeError(`${problem}\n\n${overview(commands)}`);
    return 2;
  }
}

/** Gives each option whose value may be left out its value: the address that follows it, or none. */
function withValues(args: readonly string[], commands: readonly Command[]): string[] {
  const options = new Set(commands.flatMap(({ optionalValues = [] }) => optionalValues.map((name) => `--${name}`)));
  return args.flatMap((arg, index) => {
    if (options.has(args[index - 1] ?? "") && isAddress(arg)) return [];
    if (!options.has(arg)) return [arg];
    const next = args[index + 1] ?? "";
    return [`${arg}=${isAddress(next) ? next : ""}`];
  });
}

/** Also one that is not complete, as `127.0.0.1:5000`, or of another kind, as `./mlruns`: the command says what is wrong with it. */
const isAddress = (arg: string): boolean => !arg.startsWith("-") && /[:/]/.test(arg);

/** Whether what follows `arg` is its value, for the command that has such an option. */
const takesValue = (arg: string | undefined, commands: readonly Command[]): boolean =>
  arg?.startsWith("--") === true &&
  commands.some(({ options }) => Object.hasOwn(options, arg.slice(2)) && options[arg.slice(2)]?.type === "string");

/** @throws UsageError */
function understand(command: Command, args: readonly string[], output: CommandLineOutput): CommandCall {
  const { values, positionals } = parse(command, args);
  if (positionals.length > command.mostWords) {
    const most = command.mostWords === 0 ? "no further word" : `at most ${command.mostWords} of these words`;
    throw new UsageError(`"${command.name}" takes ${most}: ${positionals.map(quoted).join(" ")}.`);
  }
  return {
    words: positionals,
    text(option) {
      const value = values[option];
      return typeof value === "string" ? value : null;
    },
    has: (option) => values[option] !== undefined && values[option] !== false,
    print: (text) => output.write(text.endsWith("\n") ? text : `${text}\n`),
    tell: (text) => output.writeError(text.endsWith("\n") ? text : `${text}\n`),
  };
}

function parse({ name, options }: Command, args: readonly string[]) {
  const config = { args: [...args], allowPositionals: true, options } satisfies ParseArgsConfig;
  const { tokens } = parseArgs({ ...config, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option" || Object.hasOwn(options, token.name)) continue;
    const known = Object.keys(options).concat("help");
    throw new UsageError(`"${name}" has no option ${quoted(token.rawName)}.${meant(token.name, known, "--")}`);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(`${(error as Error).message}.`.replace(/\.\.$/, "."));
  }
}

function meant(word: string, known: readonly string[], before = ""): string {
  // A beginning says more about what was meant than the number of letters that differ.
  const begun = known.filter((name) => word.length > 1 && name.startsWith(word));
  const near = begun.length === 1 ? begun[0] : closest(word, known);
  return near === undefined ? "" : ` Did you mean "${before}${near}"?`;
}

const quoted = (word: string): string => `"${oneLine(word, 60)}"`;

const overview = (commands: readonly Command[]): string => `opencode-parallel-agents <command>

Commands
${commands.map(({ name, summary }) => `  ${name.padEnd(longest(commands))}  ${summary}`).join("\n")}

"opencode-parallel-agents <command> --help" says more about one of them, with an example.

Exit code: 0 on success, 1 if something failed, 2 if the command was not understood.
`;

const longest = (commands: readonly Command[]): number => Math.max(...commands.map(({ name }) => name.length));

const helpOf = ({ name, summary, help }: Command): string =>
  `opencode-parallel-agents ${name}: ${summary}\n\n${help.trim()}\n`;

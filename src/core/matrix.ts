import { oneLine, showInvisible } from "../shared/plain-text.ts";
import type { Params } from "./run-task.ts";

/** Values by the name of their variable, as a task gives them. */
export type Matrix = Readonly<Record<string, readonly (string | number)[]>>;

/** Sizes that no honest matrix has. */
const MOST_NAMES = 32;
const LONGEST_VALUE = 1_000;

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Variables that decide how a command is started or found, or that the shell sets itself. A run whose PATH is a parameter
 * would fail before its command begins; the command can set them from a parameter of another name.
 */
const RESERVED =
  /^(?:PATH|HOME|PWD|OLDPWD|SHELL|SHLVL|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|UID|EUID|PPID|_|LD_\w*|DYLD_\w*|PARALLEL_AGENTS_\w*)$/;

/**
 * Variables that bash, or sh in its place, gives values of its own. Those of getopts are reserved together, and all that
 * begin with BASH because each version adds some. Not GROUPS, FUNCNAME and the like: bash leaves those that it is given.
 */
const SET_BY_SHELL =
  /^(?:RANDOM|SRANDOM|SECONDS|LINENO|EPOCHSECONDS|EPOCHREALTIME|HISTCMD|OPTIND|OPTARG|OPTERR|COMP_WORDBREAKS|PS[124]|BASH\w*)$/;

/** The value as the variable has it: numbers as JSON prints them. */
export const valueText = (value: string | number): string =>
  typeof value === "string" ? value : JSON.stringify(value);

/** What is wrong with a matrix, in a sentence; null = nothing. */
export function findMatrixProblem(matrix: Matrix): string | null {
  const entries = Object.entries(matrix);
  if (entries.length > MOST_NAMES) return `matrix has ${entries.length} names, and at most ${MOST_NAMES} are allowed.`;
  for (const [name, values] of entries) {
    const shown = JSON.stringify(name.slice(0, 64));
    if (!NAME.test(name) || name.length > 64)
      return `matrix names ${shown}, which cannot be a variable's name: it has English letters, digits and "_", begins with no digit, and has at most 64 characters.`;
    if (RESERVED.test(name))
      return `matrix names ${shown}, which decides how the command itself is started; give the parameter another name, and have the command set ${name} from it.`;
    if (SET_BY_SHELL.test(name))
      return `matrix names ${shown}, which the shell that runs the command sets itself, so that the command would have other values; give the parameter another name.`;
    if (values.length === 0) return `matrix gives ${shown} no values; leave it out, or give a list such as [1, 2].`;
    const texts = values.map(valueText);
    const bad = values.find((value) => typeof value === "number" && !Number.isFinite(value));
    if (bad !== undefined) return `matrix gives ${shown} the value ${bad}, which is no number that JSON has.`;
    const rounded = values.find((value) => Number.isInteger(value) && !Number.isSafeInteger(value));
    if (rounded !== undefined)
      return `matrix gives ${shown} a whole number beyond ${Number.MAX_SAFE_INTEGER}, read as ${rounded}: such numbers lose digits on their way here. Give it as a text, in quotes, which comes as it is.`;
    const long = texts.find((text) => text.length > LONGEST_VALUE || text.includes("\0"));
    if (long !== undefined)
      return `matrix gives ${shown} a value that a variable cannot have: at most ${LONGEST_VALUE} characters, and no NUL character. Write long material to a file.`;
    const twice = texts.find((text, index) => texts.indexOf(text) < index);
    if (twice !== undefined)
      return `matrix gives ${shown} the value ${JSON.stringify(twice.slice(0, 64))} twice, so that runs would be the same; to repeat runs, add a name such as SEED with the values 1, 2, 3.`;
  }
  return null;
}

/** The number of its combinations, which may be more than can be expanded. */
export const countCombinations = (matrix: Matrix): number =>
  Object.values(matrix).reduce((count, values) => count * values.length, 1);

/** Its combinations in order: the last name changes fastest. One without names for no matrix. */
export function expandMatrix(matrix: Matrix): Params[] {
  let combinations: (readonly [string, string | number])[][] = [[]];
  for (const [name, values] of Object.entries(matrix))
    combinations = combinations.flatMap((before) => values.map((value) => [...before, [name, value] as const]));
  return combinations.map((entries) => Object.fromEntries(entries));
}

/** The value as people and models read it: in quotes where some of it would not be seen on a line. */
export function shownValue(value: string | number): string {
  const text = valueText(value);
  const isSeen = text !== "" && oneLine(text, Number.POSITIVE_INFINITY) === text;
  return isSeen ? text : showInvisible(JSON.stringify(text));
}

/** "LR=0.1, SEED=2". */
export const describeParams = (params: Params): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${shownValue(value)}`)
    .join(", ");

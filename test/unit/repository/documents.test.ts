import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ERROR_CODES } from "../../../src/shared/error-code.ts";

const ROOT = join(import.meta.dirname, "../../..");
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const README_WORDS = 1000;

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const words = (text: string): number => text.split(/\s+/).filter(Boolean).length;

/** Paths of the repository that `text` names but that do not exist. */
const missingPaths = (text: string): string[] =>
  [...text.matchAll(/(?<![\w./-])(?:src|test|skills|\.ci)\/[\w./-]*\w/g)]
    .map(([path]) => path)
    .filter((path) => !existsSync(join(ROOT, path)));

/** The anchors that GitHub gives to the headings of `text`. */
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

/** Relative links of the document at `path` whose file or heading does not exist. */
const brokenLinks = (path: string, text: string): string[] =>
  [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(([, file = "", anchor]) => {
    const target = file === "" ? path : join(dirname(path), file);
    if (!existsSync(join(ROOT, target))) return [`${path} → ${target}`];
    return anchor === undefined || anchors(read(target)).includes(anchor) ? [] : [`${path} → ${target}#${anchor}`];
  });

/** The beginnings of table rows that name an option and its default, e.g. "| `maxRunningJobs` | `8` |". */
const optionRows = (text: string): string[] => text.match(/^\| `[\w.]+` \|[^|\n]*\|/gm) ?? [];

/** The words in backticks that look like error codes: lower case, with underscores or without. */
const codesIn = (text: string): string[] => [...text.matchAll(/`([a-z_]+)`/g)].map(([, code = ""]) => code);

test("every path that a document names exists", () => {
  expect(DOCUMENTS.flatMap((path) => missingPaths(read(path)).map((missing) => `${path}: ${missing}`))).toEqual([]);
});

test("every link between documents leads to a file and a heading", () => {
  expect(DOCUMENTS.flatMap((path) => brokenLinks(path, read(path)))).toEqual([]);
});

test("the README has at most 1,000 words and the two commands as whole lines", () => {
  const readme = read("README.md");
  expect(words(readme)).toBeLessThanOrEqual(README_WORDS);
  expect(readme.split("\n")).toContain("npm ci && npm run demo");
  expect(readme.split("\n")).toContain("npm ci && npm test");
});

test("the README's table of options has the defaults of docs/options.md, which is generated from the schema", () => {
  const rows = optionRows(read("README.md"));
  expect(rows.length).toBeGreaterThan(3);
  const documented = optionRows(read("docs/options.md"));
  expect(rows.filter((row) => !documented.includes(row))).toEqual([]);
});

test("the README's pictures are those that `npm run pictures` makes, dark and light, each below 150 KB", () => {
  const folder = join(ROOT, "docs/images");
  const named = [...read("README.md").matchAll(/(?:srcset|src)="([^"]+)"/g)].map(([, path = ""]) => path);
  const made = ["dashboard", "jobs", "terminal"].flatMap((name) => [`${name}-dark.png`, `${name}-light.png`]);
  expect(named.sort()).toEqual(made.map((name) => `docs/images/${name}`));
  expect(readdirSync(folder).sort()).toEqual(made);
  expect(made.filter((name) => statSync(join(folder, name)).size >= 150_000)).toEqual([]);
});

test("docs/troubleshooting.md lists the error codes, each once", () => {
  const [, section = ""] = read("docs/troubleshooting.md").split("## Error codes\n");
  expect(codesIn(section).sort()).toEqual([...ERROR_CODES].sort());
});

/** The tests that `text` names as `file` › "name", of which "name…" is only the beginning, and that do not exist. */
const missingTests = (text: string, source: (path: string) => string): string[] =>
  [...text.matchAll(/`(test\/[\w./-]+\.ts)` › "([^"]+)"/g)]
    .filter(([, path = "", name = ""]) => !source(path).includes(name.endsWith("…") ? name.slice(0, -1) : `${name}"`))
    .map(([, path, name]) => `${path} › ${name}`);

test("every row of docs/comparison.md names a test that exists, or says that it is not built", () => {
  const text = read("docs/comparison.md");
  expect(missingTests(text, read)).toEqual([]);
  const rows = text.split("\n").filter((line) => /^\| (?!feature |---)/.test(line));
  expect(rows.length).toBeGreaterThan(50);
  const shownBy = (row: string): string => row.split(" | ").at(-1) ?? "";
  expect(rows.filter((row) => !/^(?:`test\/[\w./-]+\.ts` › "[^"]+"|not built) \|$/.test(shownBy(row)))).toEqual([]);
});

test("the checks find missing paths, tests and broken links", () => {
  const source = () => 'test("sleeps well", () => {})';
  expect(missingTests('`test/a.ts` › "sleeps well" `test/a.ts` › "sleeps" `test/a.ts` › "sl…"', source)).toEqual([
    "test/a.ts › sleeps",
  ]);
  expect(missingPaths("`src/index.ts`, `src/gone.ts`, dist/src/other.ts, (test/unit)")).toEqual(["src/gone.ts"]);
  expect(brokenLinks("README.md", "[a](docs/gone.md) [b](#nowhere) [c](https://x.org/#y) [d](#licence)")).toEqual([
    "README.md → docs/gone.md",
    "README.md → README.md#nowhere",
  ]);
});

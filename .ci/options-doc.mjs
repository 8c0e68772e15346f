// Rewrites the tables of options in docs/options.md from the JSON Schema. Run after `npm run build`.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BEGIN = "<!-- Generated from src/config by `npm run docs`; do not edit. -->";
const END = "<!-- End of the generated part. -->";

/** `document` with fresh tables between its two markers. @param schema as `createJsonSchema` returns it */
export function withTables(document, schema) {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/options.md lacks the markers "${BEGIN}" and "${END}"`);
  return `${document.slice(0, begin)}${BEGIN}\n${renderTables(schema)}\n${document.slice(end)}`;
}

function renderTables({ properties }) {
  const { $schema: _forEditors, ...options } = properties;
  const table = (rows) => ["| option | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
  return [
    table(toRows(options)),
    "",
    "## Environments",
    "",
    "The options of each recipe in `environments`:",
    "",
    table(toRows(options.environments.additionalProperties.properties)),
    "",
    "## Benchmarks",
    "",
    "The options of each benchmark in `benchmarks`; without a default they must be given:",
    "",
    table(toRows(options.benchmarks.additionalProperties.properties)),
  ].join("\n");
}

/** An option that only groups others has a row for each of them and none of its own. */
function toRows(properties, prefix = "") {
  return Object.entries(properties).flatMap(([key, node]) =>
    node.properties && node.additionalProperties === false
      ? toRows(node.properties, `${prefix}${key}.`)
      : [
          `| \`${prefix}${key}\` | ${defaultOf(node) === undefined ? "–" : `\`${toText(defaultOf(node))}\``} | ${node.description.replaceAll("|", "\\|")} |`,
        ],
  );
}

/** The default of an object is that of its keys. */
const defaultOf = (node) => {
  const inner = Object.entries(node.properties ?? {}).filter(([, { default: value }]) => value !== undefined);
  return inner.length === 0 ? node.default : Object.fromEntries(inner.map(([key, child]) => [key, child.default]));
};

const toText = (value) =>
  JSON.stringify(value, null, 1)
    .replace(/\s+/g, " ")
    .replace(/^\[ (.*) \]$/, "[$1]");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path, schema] = ["../docs/options.md", "../dist/parallel-agents.schema.json"].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  );
  writeFileSync(path, withTables(readFileSync(path, "utf8"), JSON.parse(readFileSync(schema, "utf8"))));
}

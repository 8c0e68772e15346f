// Compiles src into dist, and writes the JSON Schema of the options and the dashboard's page beside it. Plain Node 20,
// nothing but tsc, and for the page the bundler of Bun.
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const dist = `${root}dist`;
// Made aside and swapped in whole: what runs from dist never meets half a build, nor files of a former one. Inside
// the package, because the schema's imports are resolved from there, and not in node_modules, which checkouts may share.
const next = `${root}.dist-next`;

rmSync(next, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const args = [tsc, "-p", `${root}src/tsconfig.json`, "--outDir", next, "--noEmitOnError"];
const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const { createJsonSchema } = await import(pathToFileURL(`${next}/config/json-schema.js`).href);
writeFileSync(`${next}/parallel-agents.schema.json`, `${JSON.stringify(createJsonSchema(), null, 2)}\n`);
chmodSync(`${next}/cli/main.js`, 0o755);
writeFileSync(`${next}/dashboard/page.html`, buildPage(`${root}src/dashboard/page`));
rmSync(dist, { recursive: true, force: true });
renameSync(next, dist);

/**
 * The dashboard's page with its script and style inside: one file that loads nothing.
 * @param {string} folder
 */
function buildPage(folder) {
  const bun = `${root}node_modules/.bin/bun`;
  /** @param {string} file */
  const bundle = (file) => {
    const production = ["--minify", "--target=browser", "--define", 'process.env.NODE_ENV="production"'];
    const { status, stdout, stderr } = spawnSync(bun, ["build", `${folder}/${file}`, ...production], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`Could not bundle ${file}: ${stderr}`);
    if (/<\/(script|style)/i.test(stdout)) throw new Error(`The bundle of ${file} would end its element too early.`);
    return stdout.trim();
  };
  return ["page.css", "main.tsx"].reduce(
    (html, file) => html.replace(`/* ${file} */`, () => bundle(file)),
    readFileSync(`${folder}/page.html`, "utf8"),
  );
}

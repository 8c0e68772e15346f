// Compiles src into dist, and writes the JSON Schema of the options beside it. Plain Node 20, nothing but tsc.
import { spawnSync } from "node:child_process";
import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const dist = `${root}dist`;
// Made aside and swapped in whole: what runs from dist never meets half a build, nor files of a former one. Inside
// the package, because the schema's imports are resolved from there.
const next = `${root}node_modules/.dist-next`;

rmSync(next, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const args = [tsc, "-p", `${root}src/tsconfig.json`, "--outDir", next, "--noEmitOnError"];
const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const { createJsonSchema } = await import(pathToFileURL(`${next}/config/json-schema.js`).href);
writeFileSync(`${next}/parallel-agents.schema.json`, `${JSON.stringify(createJsonSchema(), null, 2)}\n`);
chmodSync(`${next}/cli/main.js`, 0o755);
rmSync(dist, { recursive: true, force: true });
renameSync(next, dist);

#!/usr/bin/env node
import { parseArgs } from "node:util";
import { holdProcess } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { collectGarbageNow, renderGarbageReport } from "./gc.ts";

const HELP = `opencode-parallel-agents <command>

Commands
  gc    end sandboxes that no job needs any more, and remove expired snapshots

Options
  --state-dir <path>  state directory to clean up; default: the one in your own options file
  --json              print the result as JSON
  --help              print this

Exit code: 0 on success, 1 if something failed, 2 if the command was not understood.
`;

/** @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const print = (text: string) => process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    print(HELP);
    return 0;
  }
  if (positionals.length !== 1 || positionals[0] !== "gc") {
    process.stderr.write(positionals.length === 0 ? HELP : `unknown command "${positionals.join(" ")}"\n\n${HELP}`);
    return 2;
  }
  try {
    const report = await collectGarbageNow(values["state-dir"] ?? null);
    print(values.json ? JSON.stringify(report, null, 2) : renderGarbageReport(report));
    return report.failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const { code, message } = error;
    if (values.json) print(JSON.stringify({ error: { code, message } }, null, 2));
    else process.stderr.write(`${code}: ${message}\n`);
    return 1;
  }
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { "state-dir": { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } },
  });

holdProcess();
// A pending request to a remote machine must not keep the command running.
process.exit(await main(process.argv.slice(2)));

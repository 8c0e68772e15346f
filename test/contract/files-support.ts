import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { isInstruction } from "../../src/workspace/collect/auto-loaded-files.ts";
import { selectLinked } from "../../src/workspace/collect/linked-files.ts";
import { FILE_LIMITS, type FileLimits, parsePatterns } from "../../src/workspace/collect/select-files.ts";
import { writeFiles } from "../../src/workspace/collect/write-files.ts";
import { toText } from "../../src/workspace/paths.ts";
import { fetchFiles } from "../../src/workspace/sandbox/fetch-files.ts";
import { listFiles } from "../../src/workspace/sandbox/list-files.ts";
import { localProvider, localSpec } from "./local-support.ts";

/* A project to collect files of sandboxes into; each test file has one. */

export let base = "";
export let root = "";
let provider: SandboxProvider;

/** @param open creates the provider of its sandboxes */
export function useProject(open: (rootDir: string) => SandboxProvider = localProvider): void {
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), "files-"));
    root = join(base, "project");
    mkdirSync(root);
    writeFileSync(join(root, "mine.txt"), "mine\n");
    provider = open(join(base, "sandboxes"));
  });

  afterAll(async () => {
    await provider.close();
    rmSync(base, { recursive: true, force: true });
  });
}

interface CollectRequest {
  readonly paths?: readonly string[];
  readonly into?: string;
  readonly limits?: Partial<FileLimits>;
  /** Script to run in the sandbox between listing and reading the files. */
  readonly meanwhile?: string;
}

export async function inSandbox<T>(script: string, use: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const sandbox = await provider.create(localSpec());
  try {
    await run(sandbox, script);
    return await use(sandbox);
  } finally {
    await sandbox.terminate();
  }
}

export async function run(sandbox: Sandbox, script: string): Promise<void> {
  const child = await sandbox.start({ argv: ["/bin/sh", "-ec", script] });
  let output = "";
  for await (const { bytes } of child.output) output += Buffer.from(bytes).toString();
  expect([await child.exit, output]).toEqual([{ kind: "exited", code: 0 }, expect.any(String)]);
}

let count = 0;

export async function collect(
  sandbox: Sandbox,
  { paths = ["**"], into, limits: some, meanwhile }: CollectRequest = {},
) {
  const target = into ?? `out-${++count}`;
  const limits = { ...FILE_LIMITS, ...some };
  const wanted = parsePatterns(paths, sandbox.workdir);
  const selection = await selectLinked({
    request: wanted,
    workdir: sandbox.workdir,
    limits,
    isInstructionAtTarget: isInstruction,
    list: (roots) => listFiles(sandbox, roots, { clock, limitMs: 60_000 }),
  });
  if (meanwhile) await run(sandbox, meanwhile);
  const { fileBytes } = limits;
  const contents = fetchFiles(sandbox, selection.files, {
    clock,
    limitMs: 60_000,
    mark: crypto.randomUUID(),
    fileBytes,
  });
  const { files, leftOut } = await writeFiles({ root, target, selection, contents, limits, scratchID: `n${count}` });
  return {
    folder: join(root, target),
    names: files.map(({ path }) => toText(path)),
    why: Object.fromEntries(leftOut.map(({ path, why }) => [toText(path), why])),
    unmatched: selection.unmatched,
  };
}

/** The sandbox with this PATH. */
export const withPath = (sandbox: Sandbox, path: string): Sandbox => ({
  ...sandbox,
  id: sandbox.id,
  workdir: sandbox.workdir,
  readFile: sandbox.readFile.bind(sandbox),
  writeFile: sandbox.writeFile.bind(sandbox),
  start: (request) => sandbox.start({ ...request, env: { ...request.env, PATH: path } }),
});

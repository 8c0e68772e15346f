import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { createBubblewrapBackend } from "./bubblewrap/bubblewrap-backend.ts";
import { FifoPool } from "./fifo-pool.ts";
import type { IsolationBackend, IsolationKind, LendingRules } from "./isolation.ts";
import { dirsAt, PARTS } from "./layout.ts";
import { collect } from "./local-files.ts";
import { LocalSandbox } from "./local-sandbox.ts";
import { createNoIsolation } from "./no-isolation.ts";
import { createSeatbeltBackend } from "./seatbelt/seatbelt-backend.ts";
import { shortageOf } from "./shortage.ts";

const NO_LENDING_RULES: LendingRules = { readOnlyPaths: [], neverLent: [], project: null };

export interface IsolationDeps {
  readonly rootDir: string;
  readonly lending?: LendingRules;
  readonly isolation: "auto" | IsolationKind;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
}

export interface IsolationProbe {
  /** The backend that `auto` or the named kind resolves to; null when none works. */
  readonly works: IsolationBackend | null;
  /** Why each of the others does not work. */
  readonly refused: readonly { readonly kind: IsolationKind; readonly why: string }[];
}

/** Kinds of isolation to try in order. `auto` never tries "seatbelt", which has not been run on a Mac yet, nor "none". */
export const kindsToTry = (wanted: "auto" | IsolationKind): readonly IsolationKind[] =>
  wanted === "auto" ? ["bubblewrap"] : [wanted];

/** Tries the isolation that may be used by running a command in a sandbox of it. */
export async function probeIsolation(deps: IsolationDeps): Promise<IsolationProbe> {
  const refused: { kind: IsolationKind; why: string }[] = [];
  for (const kind of kindsToTry(deps.isolation)) {
    const candidate = candidateFor(kind, deps);
    const why = typeof candidate === "string" ? candidate : await tryBackend(candidate, deps);
    if (why === null) return { works: candidate as IsolationBackend, refused };
    refused.push({ kind, why });
  }
  return { works: null, refused };
}

/** @throws PluginError `isolation_unavailable` naming what was tried and, on a Mac, what the user can choose instead */
export function requireIsolation(
  { works, refused }: IsolationProbe,
  platform: NodeJS.Platform = process.platform,
): IsolationBackend {
  if (works !== null) return works;
  for (const { why } of refused) {
    const shortage = shortageOf(why);
    if (shortage !== null) throw new PluginError("sandbox_create_failed", `${shortage} (${why})`, { retryable: true });
  }
  const tried = refused.map(({ kind, why }) => `${kind}: ${why}`).join("; ");
  const advice = platform === "darwin" && !refused.some(({ kind }) => kind === "seatbelt") ? ` ${MAC_ADVICE}` : "";
  throw new PluginError(
    "isolation_unavailable",
    `No sandbox can be isolated on this machine. Tried ${tried.replace(/\.$/, "")}.${advice}`,
    {
      retryable: false,
    },
  );
}

const MAC_ADVICE =
  'Run jobs on Modal (run "modal setup"), or set local.isolation to "seatbelt": it is used only when named, because it has not been run on a Mac yet and its protection is unproven.';

/** @returns the backend, or why it cannot be used here */
function candidateFor(kind: IsolationKind, deps: IsolationDeps): IsolationBackend | string {
  const hostPath = process.env.PATH ?? "";
  if (kind === "bubblewrap")
    return createBubblewrapBackend({ ...deps, hostPath, lending: deps.lending ?? NO_LENDING_RULES });
  if (kind === "seatbelt") return createSeatbeltBackend(deps.rootDir, hostPath);
  return createNoIsolation(hostPath);
}

/** @returns why the backend does not work; null when it does */
async function tryBackend(backend: IsolationBackend, deps: IsolationDeps): Promise<string | null> {
  await mkdir(deps.rootDir, { recursive: true, mode: 0o700 });
  const root = await mkdtemp(join(deps.rootDir, ".probe-"));
  const dirs = dirsAt(root);
  const fifos = new FifoPool();
  try {
    for (const part of PARTS) await mkdir(dirs[part], { mode: 0o700 });
    const limits = { processes: 64, memoryMiB: 512, diskMiB: 64, files: 1_000 };
    const isolation = await backend.open({
      id: "probe",
      dirs,
      making: null,
      workdir: "/workspace",
      env: {},
      network: "blocked",
      limits,
      gpus: null,
    });
    const sandbox = new LocalSandbox({
      id: "probe",
      dirs,
      isolation,
      limits,
      clock: deps.clock,
      fifos,
      terminate: async () => {},
      openView: null,
    });
    try {
      const child = await sandbox.start({ argv: ["/bin/sh", "-c", "echo in; id -u"] });
      await child.closeInput();
      const answer = Buffer.from(await collect(child.output, "stdout", 100)).toString("utf8");
      const expected = backend.kind === "bubblewrap" ? "in\n1000\n" : null;
      if (expected === null ? !answer.startsWith("in\n") : answer !== expected)
        return `a command inside answered ${JSON.stringify(answer)}`;
      return null;
    } finally {
      await sandbox.halt(null);
    }
  } catch (error) {
    // Without what a shortage means, which is told of all candidates.
    const { message, cause } = error as Error;
    return error instanceof PluginError && error.retryable && cause instanceof Error ? cause.message : message;
  } finally {
    fifos.close();
    await rm(root, { recursive: true, force: true });
  }
}

import type { Job } from "../../core/job.ts";
import { certificatesIn, missingCertificateNote } from "../../core/variable-notes.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { runScript } from "../../workspace/sandbox/run-script.ts";

const LOOK = 'for f do [ -r "$f" ] || echo "$f"; done';
const LIMIT_MS = 10_000;

/** Notes on the files of certificates that the variables of a job's sandbox name and that it does not have. Never rejects. */
export async function certificateNotes(
  { provider }: Pick<Job, "provider">,
  sandbox: Sandbox,
  env: Readonly<Record<string, string>>,
  clock: Clock,
): Promise<string[]> {
  const named = certificatesIn(env);
  if (named.size === 0) return [];
  const paths = [...new Set(named.values())];
  const looked = await runScript(sandbox, LOOK, paths, { clock, limitMs: LIMIT_MS }).catch(() => null);
  const missing = new Set((looked?.stdout ?? "").split("\n"));
  return [...named].flatMap(([name, path]) =>
    missing.has(Buffer.from(path).toString("latin1")) ? [missingCertificateNote(name, path, provider)] : [],
  );
}

import { setMaxListeners } from "node:events";
import { doctorChecks } from "./checks.ts";
import type { DoctorCall } from "./doctor-call.ts";
import type { Diagnosis, Finding } from "./finding.ts";
import { hideSecrets, secretsIn } from "./hide-secrets.ts";
import { type RunDeps, runChecks } from "./run-checks.ts";
import { makeScratch } from "./scratch.ts";

/** Makes all checks, and removes what they have made. Never rejects. */
export async function diagnose(call: Omit<DoctorCall, "scratch"> & RunDeps): Promise<Diagnosis> {
  let scratch: ReturnType<typeof makeScratch>;
  try {
    scratch = makeScratch(call.clock.now());
  } catch (error) {
    const meaning = `No temporary folder could be made (${error instanceof Error ? error.message : String(error)}), so nothing was checked.`;
    const remedy = "Free some space there, or set TMPDIR to a folder that you may write to.";
    return { ok: false, findings: [{ name: "temporary-files", level: "fault", meaning, remedy }] };
  }
  process.once("exit", scratch.remove);
  setMaxListeners(0, call.signal); // each check listens to it
  completeRuntime();
  try {
    const { ok, findings } = await runChecks(doctorChecks({ ...call, scratch: scratch.path }), call);
    const secrets = secretsIn(call.env, await tokens(call.env));
    return { ok, findings: findings.map((finding: Finding) => hideSecrets(finding, secrets)) };
  } finally {
    scratch.remove();
    process.removeListener("exit", scratch.remove);
  }
}

async function tokens(env: DoctorCall["env"]): Promise<readonly string[]> {
  try {
    return (await import("./credential-facts.ts")).tokensIn(env);
  } catch {
    return []; // without the packages that read them, they are in no message
  }
}

/** Node 20 lacks what local sandboxes are written with; on it doctor still says what is wrong. */
function completeRuntime(): void {
  Promise.withResolvers ??= <T>() => {
    type Resolvers = ReturnType<typeof Promise.withResolvers<T>>;
    const made: Partial<Resolvers> = {};
    const promise = new Promise<T>((resolve, reject) => Object.assign(made, { resolve, reject }));
    return Object.assign(made, { promise }) as Resolvers;
  };
}

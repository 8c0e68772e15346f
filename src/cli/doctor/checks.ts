import { join } from "node:path";
import { within } from "../../shared/time-limit.ts";
import type { DoctorCall } from "./doctor-call.ts";
import { ownPackage } from "./installed-package.ts";
import type { Check } from "./run-checks.ts";

const SECOND_MS = 1_000;

/**
 * All checks, each with what it needs: a package that is missing or broken fails the checks that load it, and the others are
 * made.
 */
export function doctorChecks(call: DoctorCall): Check[] {
  const { directory, env, scratch, clock } = call;
  const own = ownPackage();
  const isOwnCheckout = own !== null && `${directory}/`.startsWith(`${own.root}/`);
  const entries = once(async () => {
    const { readPluginEntries } = await import("./plugin-entries.ts");
    return readPluginEntries(directory, env, isOwnCheckout ? own.root : null);
  });
  const settings = once(async () => {
    const { readSettings } = await import("./settings.ts");
    return readSettings(call, await entries());
  });
  return [
    {
      name: "package",
      doing: "Looking at the plugin's package",
      limitMs: 10 * SECOND_MS,
      ifBroken: "fault",
      async run() {
        const [{ judgePackage }, { readPackageFacts }] = await Promise.all([
          import("./checks/package.ts"),
          import("./package-facts.ts"),
        ]);
        return judgePackage(readPackageFacts(own));
      },
    },
    {
      name: "opencode-version",
      doing: "Asking OpenCode for its version",
      limitMs: 40 * SECOND_MS,
      ifBroken: "fault",
      async run(signal) {
        const [{ judgeOpencode }, { findOpencode }] = await Promise.all([
          import("./checks/host.ts"),
          import("./find-opencode.ts"),
        ]);
        return [judgeOpencode(await findOpencode({ env, scratch: join(scratch, "opencode"), clock, signal }))];
      },
    },
    {
      name: "runtime",
      doing: "Looking at this runtime",
      limitMs: 10 * SECOND_MS,
      ifBroken: "warning",
      async run() {
        const { judgeRuntime } = await import("./checks/host.ts");
        const { bun, node } = process.versions;
        return [judgeRuntime(bun ? `Bun ${bun}` : `Node ${node}`, await hasSqlite())];
      },
    },
    {
      name: "git",
      doing: "Asking git for its version",
      limitMs: 20 * SECOND_MS,
      ifBroken: "fault",
      async run(signal) {
        const [{ judgeGit }, { programsOnPath, runProgram }] = await Promise.all([
          import("./checks/host.ts"),
          import("./run-program.ts"),
        ]);
        const [git] = programsOnPath("git", env);
        if (git === undefined) return [judgeGit(null)];
        const ran = await runProgram([git, "--version"], { env, limitMs: 10 * SECOND_MS, clock, signal });
        return [judgeGit(ran.code === 0 ? ran.stdout.trim() : null)];
      },
    },
    {
      name: "plugin-entry",
      doing: "Reading OpenCode's configuration",
      limitMs: 10 * SECOND_MS,
      ifBroken: "fault",
      async run() {
        const { judgeEntries } = await import("./checks/plugin.ts");
        const isPure = ["1", "true"].includes(env.OPENCODE_PURE?.toLowerCase() ?? "");
        return own === null ? [] : judgeEntries(await entries(), own, { isPure });
      },
    },
    {
      name: "options",
      doing: "Reading the options",
      limitMs: 10 * SECOND_MS,
      ifBroken: "fault",
      async run() {
        const { judgeOptions } = await import("./checks/options.ts");
        const { loaded, userFile } = await settings();
        return judgeOptions(loaded, userFile);
      },
    },
    {
      name: "credentials",
      doing: "Asking Modal whose credentials these are",
      limitMs: 30 * SECOND_MS,
      ifBroken: "fault",
      async run(signal) {
        const [{ judgeCredentials }, { readCredentials }] = await Promise.all([
          import("./checks/credentials.ts"),
          import("./credential-facts.ts"),
        ]);
        const asked = readCredentials((await settings()).options, env, clock);
        const limit = { clock, limitMs: 30 * SECOND_MS, doing: "Asking Modal", signal };
        return [judgeCredentials(await within(asked, limit))];
      },
    },
    {
      name: "state",
      doing: "Looking into the state directory",
      limitMs: 60 * SECOND_MS,
      ifBroken: "fault",
      async run() {
        const [{ judgeState }, { readState }] = await Promise.all([
          import("./checks/state.ts"),
          import("./state-facts.ts"),
        ]);
        const { options, isLocal } = await settings();
        const facts = await readState(options.stateDir, scratch, clock, await hasSqlite());
        return judgeState(facts, isLocal);
      },
    },
    {
      name: "leftover-sandboxes",
      doing: "Looking for sandboxes that no job needs",
      limitMs: 60 * SECOND_MS,
      ifBroken: "warning",
      async run() {
        const [{ judgeLeftovers }, { findLeftovers }] = await Promise.all([
          import("./checks/leftovers.ts"),
          import("./leftovers.ts"),
        ]);
        if (!(await hasSqlite())) return []; // said of the runtime
        const { options, parkAfterMs, creationMs } = await settings();
        return judgeLeftovers(await findLeftovers(options.stateDir, scratch, { clock, parkAfterMs, creationMs }));
      },
    },
    {
      name: "isolation",
      doing: "Trying a local sandbox",
      limitMs: 90 * SECOND_MS,
      ifBroken: "fault",
      async run(signal) {
        const [{ judgeLocalTrial }, { tryLocal }] = await Promise.all([
          import("./checks/sandbox.ts"),
          import("./try-sandbox.ts"),
        ]);
        const { options, isLocal } = await settings();
        return judgeLocalTrial(await tryLocal({ options, directory, scratch, env, clock, signal }), isLocal);
      },
    },
    ...(call.tryModal ? [modalCheck(call, settings)] : []),
  ];
}

/** Whether this runtime can read the state. */
async function hasSqlite(): Promise<boolean> {
  const { loadDriver } = await import("../../jobs/store/driver.ts");
  return loadDriver().then(
    () => true,
    () => false,
  );
}

const modalCheck = (
  { directory, scratch, env, clock }: DoctorCall,
  settings: () => Promise<{ readonly options: import("../../config/schema.ts").Options }>,
): Check => ({
  name: "dry-run-modal",
  doing: "Trying a sandbox on Modal",
  limitMs: 300 * SECOND_MS,
  ifBroken: "fault",
  async run(signal) {
    const [{ judgeModalTrial }, { tryModal }] = await Promise.all([
      import("./checks/sandbox.ts"),
      import("./try-sandbox.ts"),
    ]);
    const { options } = await settings();
    return [judgeModalTrial(await tryModal({ options, directory, scratch, env, clock, signal }))];
  },
});

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | null = null;
  return () => {
    result ??= work();
    return result;
  };
}

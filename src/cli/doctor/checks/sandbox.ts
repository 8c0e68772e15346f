import { describeMachine } from "../../../core/machine-pool.ts";
import type { LentPaths } from "../../../sandboxes/lent-paths.ts";
import type { MachineReading } from "../../../sandboxes/machine-gpus.ts";
import { oneLine, plainName } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, RUN_GC, warning } from "../finding.ts";

/** What was done in a sandbox to try it, and how long it took. */
export interface TrialStep {
  readonly doing: string;
  readonly inMs: number;
}

/** What became of a sandbox that was made to try the machine. */
export interface Trial {
  readonly isolation: "bubblewrap" | "seatbelt" | "none";
  /** null = none could be made at all. */
  readonly steps: readonly TrialStep[];
  /** Why it went no further, with the step that failed; null = all of it worked. */
  readonly failure: { readonly doing: string; readonly why: string } | null;
  /** What the sandbox says of itself: limits that are not kept, no network. */
  readonly notes: readonly string[];
  /** null = it could not be asked. */
  readonly lent: LentPaths | null;
  /** This machine's GPUs that jobs may be given; null = it was not asked. */
  readonly gpus: MachineReading | null;
  /** Folders of the system that every sandbox reads; empty where that is not known. */
  readonly system: readonly string[];
  /** Whether it was removed again. */
  readonly isRemoved: boolean;
}

export const ISOLATION = "making a sandbox";

/** @param isNeeded whether jobs run in local sandboxes here; otherwise nothing of this keeps a job from running */
export function judgeLocalTrial(trial: Trial, isNeeded: boolean): Finding[] {
  const bad = isNeeded ? fault : warning;
  const idle = isNeeded ? "" : " Jobs run on Modal here, so this does not stop them.";
  const { failure, isolation } = trial;
  if (failure !== null && failure.doing === ISOLATION)
    return [
      bad("isolation", `No local sandbox can be made: ${oneLine(failure.why, 1200)}${idle}`, remedyFor(failure.why)),
    ];
  const kept =
    isolation === "bubblewrap"
      ? ok("isolation", "A sandbox was isolated with bubblewrap, and a command ran in it as another user.")
      : isolation === "seatbelt"
        ? warning(
            "isolation",
            "Sandboxes are isolated with Seatbelt, which was never run by the authors.",
            'Run jobs on Modal, or set "local.isolation" back to "auto".',
          )
        : warning(
            "isolation",
            'The option "local.isolation" is "none": commands of jobs run as you, on this machine.',
            'Take "local.isolation" out of the options.',
          );
  return [
    kept,
    ...trial.notes.map(judgeNote),
    ...judgeLent(trial),
    ...judgeGpus(trial),
    judgeSteps("dry-run", "local", trial, bad),
  ];
}

export const judgeModalTrial = (trial: Trial): Finding => judgeSteps("dry-run-modal", "Modal", trial, fault);

function judgeSteps(name: string, place: string, { steps, failure, isRemoved }: Trial, bad: typeof fault): Finding {
  const done = steps.map(({ doing, inMs }) => `${doing} ${inMs} ms`).join(", ");
  if (failure !== null)
    return bad(
      name,
      `In a ${place} sandbox, ${failure.doing} failed: ${oneLine(failure.why, 600)}${done === "" ? "" : ` Before that: ${done}.`}`,
      "A job would fail likewise. If the reason above does not say what to do, docs/troubleshooting.md may.",
    );
  if (!isRemoved) return warning(name, `A ${place} sandbox worked (${done}), but could not be removed again.`, RUN_GC);
  return ok(name, `A ${place} sandbox worked and was removed again: ${done}.`);
}

/** Words with which a sandbox says what it lacks. */
function judgeNote(note: string): Finding {
  if (/^(No network|Names cannot)/.test(note)) {
    const remedy = /installed/.test(note)
      ? "Run: sudo apt install slirp4netns iproute2 (or passt in place of slirp4netns)"
      : "See that slirp4netns or pasta can run here, and that a name server is configured which is not on this machine's loopback.";
    return warning("network", `${note} Jobs with "network": "open" have none.`, remedy);
  }
  if (/limited/.test(note))
    return warning(
      "limits",
      note,
      "Run OpenCode where it may make cgroups: in a login session of systemd, or in a container with a writable /sys/fs/cgroup.",
    );
  if (/^Not lent/.test(note)) return warning("lent-files", note, 'Take the path out of "local.readOnlyPaths".');
  return warning("sandbox", note, "docs/threat-model.md has the limits of local sandboxes.");
}

/** All of it, because what is lent is what a job can read. */
function judgeLent({ lent, system }: Trial): Finding[] {
  if (lent === null) return [];
  const own = system.length === 0 ? "" : ` Of the system: ${system.join(", ")}.`;
  const groups = new Map<string, string[]>();
  for (const { path, why } of lent.lent) groups.set(why, [...(groups.get(why) ?? []), plainName(path)]);
  const others = [...groups].map(([why, paths]) => ` ${oneLine(why, 200)}: ${paths.join(", ")}.`).join("");
  const refused = lent.refused.map(({ path, why }) => `${plainName(path)} (${oneLine(why, 200)})`);
  const not = refused.length === 0 ? "" : ` Not lent: ${refused.join(", ")}.`;
  const none = groups.size === 0 ? " Nothing else." : "";
  return [ok("lent-files", `Local sandboxes can read of this machine, and not change:${own}${others}${none}${not}`)];
}

function judgeGpus({ gpus }: Trial): Finding[] {
  if (gpus === null) return [];
  const why = gpus.why === null ? "" : oneLine(gpus.why, 400);
  if (gpus.gpus.length === 0) return [ok("gpus", `Local jobs have no GPUs: ${why || "none was found"}.`)];
  const each = gpus.gpus.map(({ id, name }) => `${plainName(name)} (/dev/nvidia${id})`).join(", ");
  const text = `Local jobs can be given ${describeMachine(gpus.gpus)}, each to one at a time with its device and the driver's files: ${each}.`;
  if (why === "") return [ok("gpus", text)];
  return [warning("gpus", `${text} Not all of the machine's: ${why}.`, 'Set "local.gpus", or see nvidia-smi.')];
}

function remedyFor(why: string): string {
  if (/not installed/.test(why)) return "Run: sudo apt install bubblewrap slirp4netns util-linux";
  if (/user namespaces/i.test(why))
    return "On Ubuntu 24.04: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0. In a container: start it with user namespaces allowed.";
  if (/are free|fit, and/.test(why)) return "Free some space on the disk of the state directory.";
  if (/needs Linux/.test(why)) return 'Run jobs on Modal: run "modal setup".';
  return 'See docs/troubleshooting.md under isolation_unavailable, or run jobs on Modal: run "modal setup".';
}

import type { ProviderName } from "../../config/provider-names.ts";
import { addUsd, settleBurst, usdOver } from "../../core/cost.ts";
import { describeDamagedSession } from "../../core/damaged-state.ts";
import { isBuildingIn } from "../../core/environment-image.ts";
import { isHeld, type Job } from "../../core/job.ts";
import { decideOrphan } from "../../core/orphan.ts";
import { rateOf } from "../../core/sandbox-tags.ts";
import { hasExpired } from "../../core/snapshot-expiry.ts";
import type { ListedSandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { isNotAlive, mayHaveEnded } from "../../shared/process-identity.ts";
import type { Environments } from "../environments/environments.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { SandboxCost } from "../store/sandbox-cost-store.ts";
import type { Parking } from "./parking.ts";
import type { Snapshots } from "./snapshots.ts";
import { addToWarm, collectWarm, forgetAbandonedWarm, isForWarm } from "./warm/collect-warm.ts";

/** What a garbage collection did, by id. */
export interface GarbageReport {
  readonly ended: readonly string[];
  readonly parked: readonly string[];
  readonly snapshotsRemoved: readonly string[];
  /** One sentence each. What failed is tried again by the next garbage collection. */
  readonly failures: readonly string[];
}

/**
 * Compares what exists with what is recorded, and ends what nobody needs: sandboxes of dead processes and deleted
 * sessions, of failed terminations, and expired snapshots.
 */
export interface GarbageCollector {
  /** Never rejects. */
  collectGarbage(): Promise<GarbageReport>;
}

export interface GarbageCollectorDeps {
  readonly pool: PoolStore;
  readonly parking: Pick<Parking, "parkOnce">;
  readonly snapshots: Pick<Snapshots, "remove" | "removeUnneeded">;
  readonly images: Pick<Environments, "removeUnneeded">;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  /** Those that may have sandboxes besides what is recorded. */
  readonly providers: readonly ProviderName[];
  readonly registry: Pick<SessionRegistry, "visit" | "isDeleted" | "damagedAt">;
  readonly parkAfterMs: number;
  readonly creationMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A day, the most that Modal allows, and a margin. */
const LONGEST_LIFE_MS = 25 * 60 * 60_000;

interface Owned extends ListedSandbox {
  readonly orchestrator: string;
  readonly jobID: string;
}

export function createGarbageCollector(deps: GarbageCollectorDeps): GarbageCollector {
  const { pool, clock, log } = deps;

  async function collectGarbage(): Promise<GarbageReport> {
    const report = {
      ended: [] as string[],
      parked: [] as string[],
      snapshotsRemoved: [] as string[],
      failures: [] as string[],
    };
    const attempt = async (doing: string, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        report.failures.push(`Could not ${doing}: ${error instanceof Error ? error.message : String(error)}`);
        log("warn", "a garbage-collection step failed", { doing, reason: String(error) });
      }
    };
    const names = new Set([...deps.providers, ...pool.sandboxes().map(({ provider }) => provider)]);
    for (const name of names) {
      await attempt(`look at the sandboxes of ${name}`, async () => {
        const provider = await deps.provider(name);
        const { owned, warm } = await ownedOf(name, provider);
        for (const sandbox of owned) {
          await attempt(`look at the sandbox ${sandbox.id}`, () => collectSandbox(provider, sandbox, report));
        }
        for (const sandbox of warm) {
          await attempt(`look at the sandbox ${sandbox.id}`, async () => {
            if (await collectWarm({ pool, clock, log }, provider, sandbox)) report.ended.push(sandbox.id);
          });
        }
        forgetAbandonedWarm({ pool, clock, log }, name, warm);
        for (const snapshot of await unrecordedOf(provider)) {
          await attempt(`remove the unrecorded snapshot ${snapshot}`, async () => {
            await provider.snapshots?.remove(snapshot);
            report.snapshotsRemoved.push(snapshot);
          });
        }
      });
    }
    for (const snapshot of pool.allSnapshots()) {
      await attempt(`remove the snapshot ${snapshot.id}`, async () => {
        const { isDeleted } = deps.registry;
        const isWanted = () =>
          !isDeleted(snapshot.orchestrator) || pool.usersOf(snapshot.id).some((user) => !isDeleted(user));
        if (!hasExpired(snapshot, clock.now()) && isWanted()) return;
        report.snapshotsRemoved.push(...(await deps.snapshots.remove(snapshot)));
      });
    }
    for (const tree of pool.allPreparedTrees())
      if (hasExpired(tree, clock.now())) pool.deletePreparedTree(tree.snapshotID);
    await attempt("remove environments' images that nobody needs", async () => {
      report.snapshotsRemoved.push(...(await deps.images.removeUnneeded()));
    });
    await attempt("remove snapshots that were kept for others", async () => {
      report.snapshotsRemoved.push(...(await deps.snapshots.removeUnneeded()));
    });
    return report;
  }

  /** The provider's sandboxes that are recorded here, or say that they are ours. */
  async function ownedOf(
    name: ProviderName,
    provider: SandboxProvider,
  ): Promise<{ readonly owned: readonly Owned[]; readonly warm: readonly ListedSandbox[] }> {
    const recorded = new Map(pool.sandboxes().map((row) => [row.id, row]));
    const listed = await provider.list();
    const present = new Set(listed.map(({ id }) => id));
    const absent = [...recorded.values()].filter((row) => row.provider === name && !present.has(row.id));
    for (const { id, createdAt } of absent) {
      // Processes that share these records may use another app, environment or account of the provider.
      const ended = provider.hasEnded ? await provider.hasEnded(id) : true;
      if (ended === true || (ended === null && clock.now() - createdAt > LONGEST_LIFE_MS)) pool.deleteSandbox(id);
    }
    const warm = listed.filter(
      ({ id, tags }) => tags.warm !== undefined && tags.lab === pool.identity() && !recorded.has(id),
    );
    const owned = listed.flatMap((sandbox) => {
      const { job, session, lab } = sandbox.tags;
      const row = recorded.get(sandbox.id);
      const isOurs = row !== undefined || lab === pool.identity();
      const jobID = row?.jobID ?? job;
      const orchestrator = row?.orchestrator ?? session;
      return isOurs && jobID && orchestrator ? [{ ...sandbox, jobID, orchestrator }] : [];
    });
    return { owned, warm };
  }

  /** Whether the process that made a sandbox for single commands may be alive: it records it as soon as it has it. */
  function isBurstAlive(id: string, maker: string | undefined, createdAt: number | null): boolean {
    if ((maker !== undefined && isNotAlive(maker)) || pool.isSandboxAbandoned(id)) return false;
    const isRecorded = pool.sandboxes().some((row) => row.id === id);
    return isRecorded || createdAt === null || clock.now() - createdAt < deps.creationMs;
  }

  /** Of one whose process died before it recorded it. A process that lives charges what it ends by itself. */
  function uncountedCost({ id, tags, billedSince }: Owned, job: Job): SandboxCost | null {
    const maker = tags.maker ?? tags.burst; // earlier versions name no maker
    // That of another container may live, and charges what it has made and recorded: see `claimLastCharge`.
    const isOfDead = maker !== undefined && mayHaveEnded(maker);
    const isNamed = job.burst?.sandboxID === id || (job.sandbox.kind === "live" && job.sandbox.id === id);
    const isCounted = isNamed || pool.sandboxes().some((row) => row.id === id);
    if (!isOfDead || isCounted || billedSince == null) return null;
    return { usdPerHour: rateOf(tags), chargedTo: billedSince };
  }

  /** Snapshots whose process died before it recorded them. Those older than the records may be in lost ones. */
  async function unrecordedOf(provider: SandboxProvider): Promise<string[]> {
    const left = (await provider.snapshots?.orphans()) ?? [];
    const recordsSince = pool.madeAt();
    return left
      .filter(({ id, createdAt }) => recordsSince !== null && createdAt > recordsSince && !pool.knowsSnapshot(id))
      .map(({ id }) => id);
  }

  async function collectSandbox(
    provider: SandboxProvider,
    sandbox: Owned,
    report: { ended: string[]; parked: string[]; failures: string[] },
  ): Promise<void> {
    const { id, createdAt, orchestrator, jobID, tags } = sandbox;
    if (isForWarm(pool, { id, jobID }, clock.now())) return;
    const onDamaged = (aside: string) => void report.failures.push(describeDamagedSession(aside));
    const collect = async (sessionJobs: SessionJobs | null) => {
      const job = sessionJobs?.get(jobID) ?? null;
      const now = clock.now();
      const isLeaseAlive = job !== null && isHeld(job.state) && pool.isLeaseAlive(job.state.leaseID, now);
      const { parkAfterMs, creationMs } = deps;
      const built = tags.environment === undefined ? null : pool.environment(tags.environment);
      const isBuilding = built && isBuildingIn(built, id, { now, isDead: isNotAlive });
      const isReader = tags.reader !== undefined && !isNotAlive(tags.reader);
      const named = job?.sandbox.kind === "live" ? job.sandbox.id : null;
      const recordedAt = (sandboxID: string | null) =>
        pool.sandboxes().find((row) => row.id === sandboxID)?.createdAt ?? null;
      const recordsLostAt = deps.registry.damagedAt(orchestrator);
      const isBurst = tags.burst !== undefined || job?.burst?.sandboxID === id;
      const decision = decideOrphan({
        sandboxID: id,
        createdAt,
        recordedAt: recordedAt(id),
        job,
        liveSince: recordedAt(named),
        recordsLostAt,
        isLeaseAlive,
        isAbandoned: pool.isSandboxAbandoned(id),
        mayBeMadeAhead: provider.prices === null && tags.maker !== undefined && !isNotAlive(tags.maker),
        isReader,
        isBuilding,
        isBurstAlive: isBurst ? isBurstAlive(id, tags.burst, createdAt) : null,
        parkAfterMs,
        creationMs,
        now,
      });
      if (decision === "keep") return;
      // Since it was listed, another run may have taken it over. That is recorded before its former job gives it up.
      const holder = pool.sandboxes().find((row) => row.id === id)?.jobID ?? jobID;
      if (holder !== jobID) return;
      if (decision === "park" && sessionJobs) {
        await deps.parking.parkOnce(sessionJobs, jobID);
        if (sessionJobs.get(jobID)?.sandbox.kind === "live") throw new Error("it could not be frozen, and is kept");
        report.parked.push(id);
        return;
      }
      const cost = pool.sandboxCost(id) ?? (job && uncountedCost(sandbox, job));
      await provider.terminate(id);
      // Another process may end it too, at this very moment.
      if (cost && pool.claimLastCharge(id)) {
        const usd = usdOver(cost.usdPerHour, clock.now() - cost.chargedTo);
        if (job) sessionJobs?.update(jobID, (one) => ({ ...one, compute: addUsd(one.compute, usd) }));
        else addToWarm(pool, jobID, usd, now);
      }
      pool.deleteSandbox(id);
      report.ended.push(id);
      if (isBurst) sessionJobs?.update(jobID, (one) => ({ ...one, compute: settleBurst(one.compute, clock.now()) }));
      log("info", "an orphaned sandbox was ended", { sandboxID: id, jobID });
    };
    await deps.registry.visit(orchestrator, collect, onDamaged);
  }

  return { collectGarbage };
}

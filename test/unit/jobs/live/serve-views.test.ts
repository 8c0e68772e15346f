import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { serveViews } from "../../../../src/jobs/live/serve-views.ts";
import type { Runtime } from "../../../../src/jobs/runtime.ts";
import type { Lab } from "../../../../src/lab/lab.ts";
import { openLab } from "../../../../src/lab/open-lab.ts";
import type { LabAnswer, LabRequest } from "../../../../src/views/lab-view.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

/* A view in another process, and the process that has the session in use. Both see the same files and clock. */

const SECOND = 1_000;
const serve = (runtime: Runtime) => serveViews(runtime, { directory: "/nowhere", instructions: () => [] });

const withLab = (body: (world: World, lab: Lab) => Promise<void>, options = {}) =>
  inWorld(async (world) => {
    const lab = await openLab({ stateDir: world.stateDir, clock: world.clock });
    try {
      await body(world, lab);
    } finally {
      lab.close();
    }
  }, options);

async function ask(world: World, lab: Lab, request: LabRequest): Promise<LabAnswer> {
  let answer: LabAnswer | undefined;
  void lab.ask(ORCHESTRATOR, request).then((given) => {
    answer = given;
  });
  return world.clock.until("the request is answered", () => answer);
}

/** Rows of a table of the session's file. */
function rows(world: World, sql: string): unknown[] {
  const database = new Database(join(world.stateDir, "sessions", `${ORCHESTRATOR}.db`), { readonly: true });
  const found = database.prepare(sql).all();
  database.close();
  return found;
}

test(
  "while somebody watches, a view knows what waits and why, limits and budget, and after that no more is written",
  withLab(
    async (world, lab) => {
      const stop = serve(world.runtime);
      const ids = await world.start("hang", "hang too");
      await world.reaches(ids[0] ?? "", "running");
      await world.clock.advance(SECOND);
      expect(lab.view(ORCHESTRATOR)).toMatchObject({ isLive: true, pool: { maxRunning: 1 }, spend: { budgetUsd: 5 } });
      expect(lab.view(ORCHESTRATOR)?.jobs[1]).not.toHaveProperty("queuePosition");

      let heard = 0;
      const unwatch = lab.watch(ORCHESTRATOR, 250, () => heard++);
      await world.clock.until("the listener is called", () => heard > 0);
      expect(lab.view(ORCHESTRATOR)).toMatchObject({
        isLive: true,
        jobs: [{ state: "running" }, { state: "queued", queuePosition: 1, reason: expect.stringContaining("slot") }],
        pool: { running: 1, queued: 1, maxRunning: 1, gpus: { total: { used: 0, limit: 10 } } },
      });
      unwatch();
      await world.clock.advance(30 * SECOND);
      const written = rows(world, "SELECT * FROM live_parts");
      await world.clock.advance(30 * SECOND);
      expect(rows(world, "SELECT * FROM live_parts")).toEqual(written);
      // What was true when somebody watched is not shown as if it were true now.
      expect(lab.view(ORCHESTRATOR)?.jobs[1]).not.toHaveProperty("queuePosition");

      stop();
      await world.close(world.runtime);
      await world.clock.advance(SECOND);
      expect(lab.view(ORCHESTRATOR)).toMatchObject({ isLive: false, pool: { maxRunning: null } });
    },
    { maxRunningJobs: 1, budget: { usdPerSession: 5, warnAt: 0.8 } },
  ),
);

test.skipIf(process.platform !== "linux")(
  "a process that died is not taken for one that has the session in use, and its part is removed by the next",
  withLab(async (world, lab) => {
    const stop = serve(world.runtime);
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.clock.advance(SECOND);
    stop();
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    const dead = toNameOfDead();
    sessionJobs.live.savePart({ owner: dead, at: world.clock.now(), text: "{}" });
    expect(lab.view(ORCHESTRATOR)).toMatchObject({ isLive: false });
    expect(await ask(world, lab, { kind: "cancel", jobs: [id] })).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("No OpenCode has this session in use"),
    });
    expect(rows(world, "SELECT * FROM requests")).toEqual([]);
    await world.close(world.runtime);
    world.runtime = await world.open();
    const stopNext = serve(world.runtime);
    await world.runtime.sessionJobs(ORCHESTRATOR);
    await world.clock.advance(SECOND);
    expect(rows(world, "SELECT owner FROM live_parts")).not.toContainEqual({ owner: dead });
    stopNext();
  }),
);

test(
  "a request is done once though two processes have the session in use, and the job says that the user asked",
  withLab(async (world, lab) => {
    const stops = [serve(world.runtime)];
    const [id = "", other = ""] = await world.start("hang", "hang too");
    await world.reaches(id, "running");
    await world.reaches(other, "running");
    const second = await world.open();
    stops.push(serve(second));
    await second.sessionJobs(ORCHESTRATOR);
    await world.clock.advance(SECOND);

    expect(await ask(world, lab, { kind: "cancel", jobs: [id] })).toEqual({ kind: "done", text: `Cancelled ${id}.` });
    expect(await ask(world, lab, { kind: "cancel", jobs: [id] })).toEqual({
      kind: "done",
      text: `Had ended before: ${id} (cancelled).`,
    });
    expect(world.job(id).state).toMatchObject({ reason: expect.stringContaining("by the user") });

    expect(await ask(world, lab, { kind: "message", job: other, text: "Use fp16." })).toMatchObject({ kind: "done" });
    expect((await world.turns(other)).map(({ text }) => text)).toEqual(["hang too", "Use fp16."]);
    expect(lab.view(ORCHESTRATOR)?.jobs[1]?.notes).toEqual([expect.stringMatching(/The user sent it a message.*fp16/)]);

    const taken = await ask(world, lab, { kind: "snapshot", job: other, label: "good" });
    expect(taken).toMatchObject({ kind: "done", text: expect.stringContaining('"good"') });
    expect(lab.view(ORCHESTRATOR)?.snapshots).toMatchObject([{ label: "good", job: other }]);
    expect(await ask(world, lab, { kind: "snapshot", job: other, label: "job_9" })).toMatchObject({
      code: "invalid_task",
    });
    expect(await ask(world, lab, { kind: "cancel", jobs: ["job_none"] })).toMatchObject({ code: "not_found" });
    expect(await ask(world, lab, { kind: "collect", job: other, mode: "patch" })).toMatchObject({
      code: "collect_failed",
    });
    expect(rows(world, "SELECT * FROM requests")).toEqual([]);
    for (const stop of stops) stop();
  }),
);

test(
  "a request that nobody begins with is refused after ten seconds, and never done",
  withLab(async (world, lab) => {
    const stop = serve(world.runtime);
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.clock.advance(SECOND);
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    const owners = sessionJobs.live.owners();
    stop();
    for (const owner of owners) sessionJobs.live.savePart({ owner, at: world.clock.now(), text: "{}" }); // alive, but busy
    expect(await ask(world, lab, { kind: "cancel", jobs: [id] })).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("It will not be done"),
    });
    await world.close(world.runtime);
    world.runtime = await world.open();
    const stopNext = serve(world.runtime);
    await world.runtime.sessionJobs(ORCHESTRATOR);
    await world.clock.advance(20 * SECOND);
    const [job] = (await world.runtime.sessionJobs(ORCHESTRATOR)).all();
    expect(job?.state.kind).toBe("running");
    stopNext();
  }),
);

test(
  "what is written in the tables by others is parsed, and does no harm",
  withLab(async (world, lab) => {
    const stop = serve(world.runtime);
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    await world.clock.advance(SECOND);
    const database = new Database(join(world.stateDir, "sessions", `${ORCHESTRATOR}.db`));
    const until = world.clock.now() + 60 * SECOND;
    const texts = ["", "{", '{"kind":"remove"}', '{"kind":"cancel","jobs":["job_1"],"force":true}', '"__proto__"'];
    for (const [index, text] of texts.entries())
      database.run("INSERT INTO requests (id, until, record) VALUES (?, ?, ?)", [`ask_${index}`, until, text]);
    database.run("INSERT INTO live_parts VALUES ('1:x', ?, '[]')", [until]);
    await world.clock.advance(2 * SECOND);
    expect(database.prepare("SELECT count(*) AS n FROM requests WHERE answer LIKE '%refused%'").get()).toEqual({
      n: 5,
    });
    database.close();
    expect(world.job(id).state.kind).toBe("running");
    expect(lab.view(ORCHESTRATOR)?.isLive).toBe(true);
    stop();
  }),
);

/** As of a process that had this one's id before. */
function toNameOfDead(): string {
  return [process.pid, "owner_dead", place(), "1"].join(":");
}

function place(): string {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")}-${boot}`;
}

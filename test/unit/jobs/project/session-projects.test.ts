import { expect, test } from "bun:test";
import { createSessionProjects, type SessionProjectsDeps } from "../../../../src/jobs/project/session-projects.ts";
import type { JobChange, SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createEmitter } from "../../../../src/shared/emitter.ts";

/* A session belongs to the project in which its first job was recorded, and to none before that is known. */

function setup(identify: SessionProjectsDeps["identify"]) {
  const changes = createEmitter<JobChange>(() => {});
  const opened = createEmitter<SessionJobs>(() => {});
  const saved = new Map<string, string>();
  let writes = 0;
  const projects = createSessionProjects({
    registry: { onChange: changes.on, onOpen: opened.on },
    pool: {
      saveProject(orchestrator, project) {
        writes++;
        if (!saved.has(orchestrator)) saved.set(orchestrator, project);
      },
      projectOf: (orchestrator) => saved.get(orchestrator) ?? null,
      sessionsOf: () => [...saved.keys()],
      forgetProject: (orchestrator) => void saved.delete(orchestrator),
    },
    identify,
    log: () => {},
  });
  const jobsOf = (orchestrator: string, count: number) =>
    ({ orchestrator, all: () => Array.from({ length: count }) }) as unknown as SessionJobs;
  const change = (orchestrator: string) => changes.emit({ sessionJobs: jobsOf(orchestrator, 1) } as JobChange);
  return {
    projects,
    change,
    open: (one: string, jobs: number) => opened.emit(jobsOf(one, jobs)),
    writes: () => writes,
  };
}

test("a session's project is recorded with its first job, once", async () => {
  const { projects, change, writes } = setup(async () => "p1");
  await projects.known();
  expect(projects.of("ses_1")).toBeNull();
  for (let count = 0; count < 100; count++) change("ses_1");
  expect([projects.of("ses_1"), projects.of("ses_2"), writes()]).toEqual(["p1", null, 1]);
});

test("jobs that were recorded before have the project of where their session is used again; a session without jobs has none", async () => {
  const { projects, open } = setup(async () => "p1");
  await projects.known();
  open("ses_old", 3);
  open("ses_new", 0);
  expect([projects.of("ses_old"), projects.of("ses_new")]).toEqual(["p1", null]);
});

test("a session that is in use has the project it is used in before its first job, and keeps that of its jobs", async () => {
  const { projects, change } = setup(async () => "p1");
  await projects.known();
  expect([projects.of("ses_1"), projects.here("ses_1")]).toEqual([null, "p1"]);
  change("ses_1");
  expect(projects.here("ses_1")).toBe("p1");
});

test("nothing is recorded where there is no project, or where it cannot be told", async () => {
  for (const identify of [async () => null, () => Promise.reject(new Error("no disk"))]) {
    const { projects, change } = setup(identify);
    await projects.known();
    change("ses_1");
    expect(projects.of("ses_1")).toBeNull();
  }
});

test("a session that was deleted and is used again is recorded again", async () => {
  const { projects, change } = setup(async () => "p1");
  await projects.known();
  change("ses_1");
  projects.forget("ses_1");
  expect(projects.of("ses_1")).toBeNull();
  change("ses_1");
  expect(projects.of("ses_1")).toBe("p1");
});

import { expect, test } from "bun:test";
import { createRoot, createSignal } from "solid-js";
import { createLabSource, type LabSource } from "../../../src/tui/lab-source.ts";
import { createSampleLab, sampleJob, sampleView } from "../../support/sample-lab.ts";

const done = [sampleJob("a", { state: "completed" })];

async function withSource(
  use: (source: LabSource, lab: ReturnType<typeof createSampleLab>, dispose: () => void) => void | Promise<void>,
) {
  const lab = createSampleLab(
    sampleView("busy", [sampleJob("a")]),
    sampleView("idle", done),
    sampleView("left", [sampleJob("a")], { isLive: false }),
  );
  await createRoot(async (dispose) => {
    const source = createLabSource(async () => lab);
    await Promise.resolve();
    await use(source, lab, dispose);
    source.close();
    dispose();
  });
  expect([...lab.watched]).toEqual([]);
}

test("the session on the screen is watched, and afterwards only where its jobs are alive", () =>
  withSource((source, lab) => {
    const [session, setSession] = createSignal<string | null>("idle");
    const view = source.follow(session);
    expect(view()?.session).toBe("idle");
    setSession("busy");
    expect(view()?.session).toBe("busy");
    expect([...lab.watched]).toEqual(["busy"]);
    setSession("idle");
    expect([...lab.watched].sort()).toEqual(["busy", "idle"]);
    expect(source.alive().map((one) => one.session)).toEqual(["busy"]);
    lab.change("busy", { jobs: done });
    expect([...lab.watched]).toEqual(["idle"]);
    expect(source.alive()).toEqual([]);
    setSession(null);
    expect(view()).toBeNull();
    expect([...lab.watched]).toEqual([]);
  }));

test("jobs that no process works on are not alive", () =>
  withSource((source, lab) => {
    source.look("left");
    expect(source.alive()).toEqual([]);
    expect([...lab.watched]).toEqual([]);
  }));

test("a change is told with what was known before, and a session without jobs becomes visible with its first", () =>
  withSource((source, lab) => {
    const changes: string[] = [];
    source.onChange(({ before, after }) => changes.push(`${before?.jobs.length ?? "-"} → ${after.jobs.length}`));
    const view = source.follow(() => "new");
    expect(view()).toBeNull();
    lab.change("new", { jobs: done });
    lab.change("new", { jobs: [...done, sampleJob("b")] });
    expect(view()?.jobs).toHaveLength(2);
    expect(changes).toEqual(["- → 1", "1 → 2"]);
  }));

test("what cannot be read is said, what was known stays, and the next reading is taken", () =>
  withSource((source, lab) => {
    const view = source.follow(() => "busy");
    const { view: read } = lab;
    lab.view = () => {
      throw new Error("disk I/O error");
    };
    lab.change("busy", {});
    expect(source.problem()).toBe("Could not read the jobs: disk I/O error");
    expect(view()?.session).toBe("busy");
    lab.view = read;
    lab.change("busy", { jobs: done });
    expect(source.problem()).toBeNull();
    expect(view()?.jobs).toEqual(done);
  }));

test("a state that cannot be opened is said, and whoever asks is refused", async () => {
  await createRoot(async (dispose) => {
    const source = createLabSource(() => Promise.reject(new Error("no SQLite")));
    const view = source.follow(() => "busy");
    await Promise.resolve();
    await Promise.resolve();
    expect(source.problem()).toBe("Could not open the jobs' state: no SQLite");
    expect(view()).toBeNull();
    expect((await source.ask("busy", { kind: "cancel", jobs: ["a"] })).kind).toBe("refused");
    source.close();
    dispose();
  });
});

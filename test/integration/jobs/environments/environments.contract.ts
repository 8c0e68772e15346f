import { afterEach, describe, expect, test } from "bun:test";
import type { SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { until } from "../../../support/wait.ts";
import { createWorld, openProcess, type ProcessOptions, type World } from "./environment-world.ts";

export interface Place {
  readonly name: string;
  readonly open: (world: World) => SandboxProvider;
}

/** What every provider's environments must do. */
export function environmentsContract({ name, open }: Place): void {
  const closing: (() => Promise<unknown> | undefined)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  function setUp() {
    const world = createWorld();
    closing.push(async () => world.end());
    const provider = open(world);
    closing.push(() => provider.close());
    const start = async (environment: Record<string, unknown>, more: Partial<ProcessOptions> = {}) => {
      const made = await openProcess(world, { environment, provider, ...more });
      closing.push(made.close);
      return made;
    };
    return { world, provider, start };
  }

  describe(`environments of ${name}`, () => {
    test("are set up once for jobs that begin together, with the project's files in place", async () => {
      const { world, start, provider } = setUp();
      world.write("list.txt", "one\ntwo\n");
      world.write(".gitignore", "built/\n");
      const one = await start({
        setup: [
          'mkdir -p built/empty && wc -l < list.txt > built/count && date +%N > "$HOME/when"',
          "echo second >> built/count",
        ],
      });
      const jobs = await Promise.all([1, 2, 3].map(() => one.run('cat built/count "$HOME/when"')));
      const [first] = jobs;
      expect(first?.output).toContain("2\nsecond\n");
      expect(new Set(jobs.map(({ output }) => output)).size).toBe(1);
      expect(one.steps.filter((step) => step.kind === "setup" && step.step === 2)).not.toEqual([]);
      expect(one.status()).toMatchObject({ state: "ready", record: { failed: null, build: null } });
      expect(one.charged.length).toBeGreaterThan(0);

      // Only the difference is put on top: what set-up left stays, also empty folders, and what the project deleted goes.
      world.remove("list.txt");
      world.write("deep/new.txt", "new");
      const later = await one.run(
        'ls -d built/empty; cat built/count deep/new.txt "$HOME/when"; ls list.txt; git status --short',
      );
      expect(later.output).toContain("built/empty");
      expect(later.output).toContain("2\nsecond\nnew");
      expect(later.output).toContain(first?.output.trim().split("\n").at(-1) ?? "?");
      expect(later.output).toMatch(/list\.txt.*No such file/);
      await until(async () => (await provider.list()).length === 0, { what: "the building sandbox to have ended" });
    });

    test("keep the project's own files, and take what set-up adds for nobody's work", async () => {
      const { world, start } = setUp();
      world.write("kept.txt", "of the project\n");
      const one = await start({
        setup: "echo changed > kept.txt; mkdir -p 'odd [dir]'; echo made > 'odd [dir]/x'; echo made > made.txt",
      });
      const { output, notes } = await one.run("cat kept.txt made.txt; git status --short");
      expect(output).toBe("of the project\nmade\n");
      expect(notes.join("\n")).toContain("changed files of the project, which are as the project has them: kept.txt");
      expect(notes.join("\n")).toContain("made.txt");
      world.write("kept.txt", "newer\n");
      expect((await one.run("cat kept.txt made.txt 'odd [dir]/x'; git status --short")).output).toBe(
        "newer\nmade\nmade\n",
      );
    });

    test("whose set-up fails fail their jobs with the command, its code and its last lines, and are tried by a later job", async () => {
      const { start } = setUp();
      const flag = "no-such-file";
      const one = await start(
        { workspace: "empty", setup: ["true", `seq 100; echo token $TOKEN; cat ${flag}; exit 7`], hostEnv: ["TOKEN"] },
        { hostEnv: { TOKEN: "s3cret-value" } },
      );
      const began = Date.now();
      const both = await Promise.allSettled([
        one.run("true", { queuedAt: began }),
        one.run("true", { queuedAt: began }),
      ]);
      const errors = both.map((one) => (one.status === "rejected" ? one.reason : null));
      for (const error of errors) expect(error).toMatchObject({ code: "setup_failed" });
      const { message } = errors[0];
      expect(message).toContain("command 2 of 2");
      expect(message).toContain("exit code 7");
      expect(message).toContain("\n100\ntoken [hidden]\n");
      expect(message).not.toContain("\n50\n");
      expect(one.status()?.state).toBe("failed");
      // One that waited with them does not have it built again; one that is queued later does.
      await expect(one.run("true", { queuedAt: began })).rejects.toMatchObject({ code: "setup_failed" });
      expect(one.steps.filter((step) => step.kind === "setup" && step.step === 1 && step.line === null)).toHaveLength(
        2,
      );
      await expect(one.run("true")).rejects.toMatchObject({ code: "setup_failed" });
    });

    test("whose set-up leaves processes running tell their jobs which, as these have only its files", async () => {
      const { start } = setUp();
      const one = await start({
        workspace: "empty",
        setup: ["cp /bin/sleep served; ./served 600 & echo started", "echo two; setsid ./served 700 >/dev/null 2>&1 &"],
      });
      const { output, notes } = await one.run("ls; cat /proc/[0-9]*/comm");
      expect(output).toMatch(/^served\n/);
      expect(output).not.toMatch(/\nserved\n/);
      expect(notes).toEqual([
        "The environment's set-up left processes running, of which jobs have only the files: served. A job that needs one starts it itself.",
      ]);
    });

    test("whose set-up takes the repository away say whose it was, and what it is for", async () => {
      const { world, start } = setUp();
      world.write("a.txt", "a");
      const one = await start({ setup: "rm -rf .git" });
      const error = await one.run("true").catch((error) => error);
      expect(error).toMatchObject({ code: "workspace_failed" });
      expect(error.message).toContain("after the set-up of environment made: .git there is gone or has been replaced");
      expect(error.message).toContain("have the set-up leave that folder and its .git in place");
    });

    test("whose set-up takes too long have it stopped, and say so", async () => {
      const { start, provider } = setUp();
      const one = await start({ workspace: "empty", setup: "echo began; sleep 600" }, { limitMs: 1_500 });
      const error = await one.run("true").catch((error) => error);
      expect(error).toMatchObject({ code: "setup_failed" });
      expect(error.message).toMatch(/was stopped, because the whole set-up may take .*\nbegan$/s);
      await until(async () => (await provider.list()).length === 0, { what: "the building sandbox to have ended" });
    });

    test("are ended with their process, and leave nothing", async () => {
      const { start, provider } = setUp();
      const one = await start({ workspace: "empty", setup: "sleep 600" });
      const job = one.run("true").catch((error) => error);
      await until(() => one.status()?.record.build?.step === 1, { what: "the command runs" });
      await one.close();
      expect(await job).toMatchObject({ code: "cancelled" });
      await until(async () => (await provider.list()).length === 0, { what: "the building sandbox to have ended" });
    });

    test("are rebuilt in the background when they are old, and keep the last good one when that fails", async () => {
      const { world, start } = setUp();
      world.write("fails", "no");
      const one = await start({
        setup: ['[ "$(cat fails)" = no ] || exit 9', 'date +%N > "$HOME/when"'],
        refreshMinutes: 10,
      });
      const when = async () => (await one.run('cat "$HOME/when"')).output;
      const settled = () =>
        until(async () => one.pool.environmentKeys().every((key) => one.pool.environment(key).build === null), {
          what: "no build to go on",
        });
      const first = await when();
      one.passMinutes(11);
      expect(one.status()?.state).toBe("stale");
      expect(await when()).toBe(first);
      await settled();
      expect(one.status()?.state).toBe("ready");
      const second = await when();
      expect(second).not.toBe(first);

      world.write("fails", "yes");
      one.passMinutes(11);
      expect(await when()).toBe(second);
      await settled();
      expect(one.status()).toMatchObject({ state: "stale", record: { failed: { failure: { code: "setup_failed" } } } });
      expect(await when()).toBe(second); // and not built again so soon
      expect(one.status()?.record.build).toBeNull();
    });

    test("are built anew when their set-up has changed, and what nobody needs is removed", async () => {
      const { start } = setUp();
      const setup = (word: string) => ({
        workspace: "empty",
        setup: `echo ${word} > "$HOME/word"`,
        refreshMinutes: 10,
      });
      const one = await start(setup("old"));
      expect((await one.run('cat "$HOME/word"')).output).toBe("old\n");
      const image = one.status()?.record.image;
      const two = await start(setup("new"));
      expect((await two.run('cat "$HOME/word"')).output).toBe("new\n");
      expect(await two.images.removeUnneeded()).toEqual([]); // the first process may use its own still
      expect((await one.run('cat "$HOME/word"')).output).toBe("old\n");
      // Once its process has ended, nobody does.
      for (const { key } of one.pool.environmentUses())
        if (one.pool.environment(key).image?.snapshotID === image?.snapshotID) one.pool.deleteEnvironmentUses(key);
      expect(await two.images.removeUnneeded()).toEqual([image?.snapshotID ?? ""]);
      expect(two.pool.environmentKeys()).toHaveLength(1);
      expect((await two.run('cat "$HOME/word"')).output).toBe("new\n");
    });

    test("that are built by one process are waited for by another, and built by it when the first gives up", async () => {
      const { start } = setUp();
      const environment = { workspace: "empty", setup: ['sleep 2; date +%N > "$HOME/when"'] };
      const [one, two] = [await start(environment), await start(environment)];
      const [a, b] = await Promise.all([one.run('cat "$HOME/when"'), two.run('cat "$HOME/when"')]);
      expect(a.output).toBe(b.output);

      const slow = { workspace: "empty", setup: ['sleep 3; date +%N > "$HOME/when"'] };
      const [three, four] = [await start(slow), await start(slow)];
      const stop = new AbortController();
      const given = three.run("true", { signal: stop.signal }).catch((error) => error);
      await until(async () => three.steps.some((step) => step.kind === "setup"), { what: "the build to have begun" });
      const waiting = four.run('cat "$HOME/when"');
      await until(async () => four.steps.some((step) => step.kind === "setup"), { what: "the other to wait" });
      stop.abort();
      expect(await given).toMatchObject({ code: "cancelled" });
      expect((await waiting).exit).toEqual({ kind: "exited", code: 0 });
    });

    test("whose snapshot is gone at the provider are built anew", async () => {
      const { provider, start, world } = setUp();
      world.write("a.txt", "a");
      const one = await start({ setup: 'date +%N > "$HOME/when"' });
      const first = await one.run('cat "$HOME/when"');
      await provider.snapshots?.remove(one.status()?.record.image?.snapshotID ?? "");
      const second = await one.run('cat "$HOME/when" a.txt');
      expect(second.output).toMatch(/^\d+\na$/);
      expect(second.output).not.toContain(first.output.trim());
      await provider.snapshots?.remove(one.status()?.record.image?.snapshotID ?? "");
      world.write("a.txt", "b");
      expect((await one.run("cat a.txt")).output).toBe("b");
    });
  });
}

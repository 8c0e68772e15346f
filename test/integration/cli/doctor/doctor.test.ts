import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { findOpencode } from "../../../../src/cli/doctor/find-opencode.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { isRoot } from "../../../support/as-ordinary-user.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { sandboxTest, withoutBubblewrap } from "../../../support/sandboxes.ts";
import { PACKAGE } from "../../../support/test-setup.ts";
import { until } from "../../../support/wait.ts";
import { BUN, type DoctorHome, diagnose, NODE, runDoctor, startDoctor, withDoctorHome } from "./doctor-home.ts";

/** What is not in order on the machine of the tests itself. */
const OF_THIS_MACHINE = /^\w+ (limits|network|isolation|dry-run|lent-files|package):/;

const wrongIn = (home: DoctorHome, before?: readonly string[]): string[] =>
  diagnose(home, before).wrong.filter((line) => !OF_THIS_MACHINE.test(line));

describe("doctor", () => {
  sandboxTest("finds nothing wrong where all is well, tries a sandbox, and changes nothing", () =>
    withDoctorHome((home) => {
      const before = listing(home.home);
      const { findings } = diagnose(home);
      expect(wrongIn(home, [NODE])).toEqual([]);
      expect(listing(home.home)).toEqual(before);
      const meaningOf = (name: string) => findings.find((finding) => finding.name === name)?.meaning;
      expect(meaningOf("opencode-version")).toContain("1.18.33");
      expect(meaningOf("dry-run")).toMatch(/worked and was removed again: making a sandbox \d+ ms, running a command \d+ ms/);
      expect(meaningOf("lent-files")).toContain("/usr");
    }),
  ); // biome-ignore format: a table

  test("names the missing entry for the terminal UI, and exits with 0", () =>
    withDoctorHome((home) => {
      rmSync(join(home.home, ".config/opencode/tui.json"));
      expect(wrongIn(home)).toEqual([
        expect.stringMatching(/^warning tui-entry: No tui\.json names the plugin.* → Run: opencode plugin .* -g/),
      ]);
    }));

  test("names options that are not valid with their file, also those in a project's opencode.json", () =>
    withDoctorHome((home) => {
      const file = home.write("home/.config/opencode/parallel-agents.jsonc", '{ "maxRunningJobs": "many" }');
      home.write("project/opencode.jsonc", `{ "plugin": [["${PACKAGE}", { "gpuLimit": {} }],] }`);
      const [first, ...rest] = wrongIn(home);
      expect(rest).toEqual([]);
      expect(first).toMatch(/^fault options: /);
      for (const part of [file, "maxRunningJobs", "gpuLimit", "→ Change what is named there"]) expect(first).toContain(part);
    })); // biome-ignore format: a table

  test("names options that stand where neither OpenCode nor the plugin reads them", () =>
    withDoctorHome((home) => {
      const top = home.write("project/opencode.json", '{ "maxRunningJobs": 1, "provider": {}, "ledger": {} }');
      const beside = home.write("project/opencode.jsonc", `{ "plugin": ["${PACKAGE}", { "maxRunningJobs": 1 }] }`);
      expect(wrongIn(home)).toEqual([
        expect.stringContaining(`OpenCode cannot read ${beside}: it is one whose "plugin" has something else`),
        expect.stringContaining(`warning opencode-config: ${top} has options of the plugin at its top: maxRunningJobs, ledger. OpenCode drops them`),
      ]);
    })); // biome-ignore format: a table

  test("says that OpenCode 2 is not what the plugin runs on", () =>
    withDoctorHome((home) => {
      expect(wrongIn(home)).toEqual([
        expect.stringMatching(/^fault opencode-version: .*is OpenCode 2\.1\.4\..* → Install OpenCode 1: npm install/),
      ]);
    }, "opencode v2.1.4"));

  test("does not wait for an OpenCode that hangs, and ends what it has started", () =>
    withDoctorHome(async (home) => {
      home.write(
        "bin/opencode",
        "#!/bin/sh\nsleep 300 & echo $! > $HOME/pid.new; mv $HOME/pid.new $HOME/pid\nsleep 300\n",
        0o755,
      );
      const { env, root } = home;
      const clock = createFakeClock();
      const finding = findOpencode({ env, scratch: join(root, "tmp"), clock, signal: new AbortController().signal });
      await until(() => existsSync(join(home.home, "pid")), { what: "it has started" });
      await clock.advance(15_000);
      expect(await finding).toMatchObject({ kind: "silent", said: "it had not answered after 15 s" });
      const pid = readFileSync(join(home.home, "pid"), "utf8").trim();
      await until(() => !existsSync(`/proc/${pid}/exe`), { what: "its child has ended" });
    }));

  test.skipIf(withoutBubblewrap.length === 0)("names bubblewrap where it is missing", () =>
    withDoctorHome((home) => {
      const { wrong, code } = diagnose(home, [...withoutBubblewrap, BUN]);
      expect(code).toBe(1);
      expect(wrong.filter((line) => line.startsWith("fault"))).toEqual([
        expect.stringMatching(/^fault isolation: No local sandbox can be made: .*bwrap not installed.* → Run: sudo apt install bubblewrap/),
      ]);
    }),
  ); // biome-ignore format: a table

  test("names a state directory that others may write to, or that its owner may not", () =>
    withDoctorHome((home) => {
      mkdirSync(home.stateDir, { recursive: true });
      for (const [mode, expected] of [
        [0o777, /^fault state: .*rights 777: other users may change.* → Run: chmod 700 /],
        [0o500, /^fault state: .*(rights 500|no right to write).* → Run: chmod 700 /],
      ] as const) {
        chmodSync(home.stateDir, mode);
        expect(wrongIn(home)).toEqual([expect.stringMatching(expected)]);
        expect(statSync(home.stateDir).mode & 0o777).toBe(mode); // it is not repaired
      }
    }));

  test.skipIf(!isRoot())("names a state directory that is read-only, and a disk that is full", () =>
    withDoctorHome((home) => {
      mkdirSync(home.stateDir, { recursive: true, mode: 0o700 });
      const mount = (options: string) => spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", home.stateDir]).status;
      if (mount("size=1m,mode=700,ro") !== 0) return; // a container that may not mount
      try {
        expect(wrongIn(home)).toContainEqual(
          expect.stringMatching(/^fault state: .*file system that is read-only.* → Make that place writable/),
        );
        expect(wrongIn(home)).toContainEqual(
          expect.stringMatching(/^fault disk-space: .*only \d MiB are free.* → Free some space there/),
        );
      } finally {
        spawnSync("umount", [home.stateDir]);
      }
    }),
  ); // biome-ignore format: a table

  test("names a damaged state file and leaves it as it is, and a file of a newer version", () =>
    withDoctorHome(async (home) => {
      const pool = await openPoolStore(home.stateDir);
      pool.close();
      const file = join(home.stateDir, "pool.db");
      const bytes = readFileSync(file);
      bytes.fill(0x5a, 100, 3000);
      writeFileSync(file, bytes);
      expect(wrongIn(home)).toEqual([
        expect.stringMatching(/^fault state-files: The state file .*\/parallel-agents\/pool\.db is damaged.* → To keep what can be saved/),
      ]);
      expect(readFileSync(file).equals(bytes)).toBe(true);

      rmSync(file);
      (await openPoolStore(home.stateDir)).close();
      const newer = readFileSync(file);
      newer.writeUInt32BE(99, 60);
      writeFileSync(file, newer);
      expect(wrongIn(home)[0]).toMatch(/^fault state-files: \S*\/parallel-agents\/pool\.db was written by a newer version/);
    })); // biome-ignore format: a table

  test("names half a credential, without showing it", () =>
    withDoctorHome((home) => {
      home.env.MODAL_TOKEN_ID = "ak-halfofatoken";
      expect(wrongIn(home)).toEqual([
        expect.stringMatching(/^fault credentials: .*the secret is missing.*local sandboxes instead.* → Run "modal setup" again/),
      ]);
      expect(JSON.stringify(diagnose(home))).not.toContain("ak-halfofatoken");
    })); // biome-ignore format: a table

  test("names another package of the name, and one of another version", () =>
    withDoctorHome((home) => {
      const install = (text: object) =>
        home.write(
          "home/.cache/opencode/packages/opencode-parallel-agents@latest/node_modules/opencode-parallel-agents/package.json",
          JSON.stringify({ name: "opencode-parallel-agents", ...text }),
        );
      const plugin = JSON.stringify({ plugin: ["opencode-parallel-agents"] });
      home.write("home/.config/opencode/opencode.json", plugin);
      install({ version: "7.0.0", main: "index.js" });
      expect(wrongIn(home)[0]).toMatch(/^fault plugin-entry: .*another package of the same name.* → Take the entry out/);
      const { exports, bin } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
      install({ version: "7.0.0", exports, bin });
      expect(wrongIn(home)[0]).toMatch(/^fault plugin-entry: .*loads version 7\.0\.0 from .*→ Take the entry out/);
    })); // biome-ignore format: a table

  test("takes a link to the plugin for the plugin, and says that two paths load it twice", () =>
    withDoctorHome((home) => {
      const link = join(home.home, "my-plugin");
      symlinkSync(PACKAGE, link);
      home.write("home/.config/opencode/opencode.json", JSON.stringify({ plugin: [link] }));
      expect(wrongIn(home)).toEqual([]);
      home.write("project/.opencode/opencode.json", JSON.stringify({ plugin: [`file://${PACKAGE}`] }));
      expect(wrongIn(home)).toEqual([expect.stringMatching(/^warning plugin-entry: .*2 different paths/)]);
    }));

  test("names a sandbox that gc would end, without ending it", () =>
    withDoctorHome(async (home) => {
      const pool = await openPoolStore(home.stateDir);
      const tags = { job: "job_gone", session: "ses_gone", lab: pool.identity() };
      pool.close();
      const meta = { id: "sbx_left", tags, createdAt: 1, workdir: "/workspace", name: "x" };
      const folder = join(home.stateDir, "local/sandboxes/sbx_left");
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(folder, "meta.json"), JSON.stringify(meta));
      expect(wrongIn(home)).toEqual([
        expect.stringMatching(/^warning leftover-sandboxes: .*one sandbox .*\(sbx_left\).* → Run in the plugin's folder: npx opencode-parallel-agents gc/),
      ]);
      expect(existsSync(folder)).toBe(true);
    })); // biome-ignore format: a table

  test("prints for a person what is wrong first, and what to do below it", () =>
    withDoctorHome((home) => {
      const { code, stdout } = runDoctor(home);
      const lines = stdout.trimEnd().split("\n");
      expect(code).toBe(1);
      expect(lines[0]).toStartWith("✗ fault, opencode-version: ");
      expect(lines[1]).toStartWith("    → Install OpenCode 1: ");
      expect(lines.at(-1)).toMatch(/^1 fault/);
    }, "2.0.0"));

  test("removes what it has made when it is interrupted", () =>
    withDoctorHome(async (home) => {
      home.write("bin/opencode", "#!/bin/sh\nsleep 300\n", 0o755);
      const running = await startDoctor(home);
      const made = () =>
        readdirSync(join(home.root, "tmp")).some((name) => name.startsWith("opencode-parallel-agents"));
      await until(made, { what: "it has begun" });
      running.signal("SIGINT");
      expect((await running.exited).code).toBe(130);
      expect(made()).toBe(false);
    }));
});

/** All files below a folder with their times. */
const listing = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`)
    .sort();

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { newBase, plant, removeBase } from "../support/lent-fixture.ts";
import { attackAs, HOST, USERS } from "./attack-users.ts";
import { whyNoIsolation } from "./local-support.ts";

const why = await whyNoIsolation();
const CANARY = `canary-${crypto.randomUUID()}`;

/** A realistic home: secrets beside programs, and every known way that led from the programs to the secrets. */
const HOME = {
  "home/work/deploy.sh": "program",
  "home/work/.env": "data",
  "home/work/id_rsa": "data",
  "home/.local/bin/deploy": "-> home/work/deploy.sh",
  "home/.local/bin/tool": "program",
  "home/.local/bin/black": "-> home/.local/share/pipx/venvs/black/bin/black",
  "home/.local/share/pipx/venvs/black/pyvenv.cfg": "program",
  "home/.local/share/pipx/venvs/black/bin/black": "program",
  "home/.local/share/pipx/venvs/black/lib/mine/.env": "data",
  "home/.local/share/pipx/venvs/black/lib/mine/.git/config": "data",
  "home/.local/share/pipx/venvs/black/lib/mine": "folder mode 0777",
  "home/.local/share/pipx/venvs/black/lib/mine/run": "program",
  "home/.local/share/pipx/venvs/black/lib/python3.12/site-packages/.pypirc": "data",
  "home/.local/share/pipx/venvs/black/lib/module.py": "program",
  "home/.local/lib/python3.12/os.py": "data",
  "home/.local/share/opencode/auth.json": "data",
  "home/.local/share/keyrings/login": "data",
  "home/.local/etc/x": "data",
  "home/bin/run": "program",
  "home/bin/notes": "data",
  "home/bin/leak": "-> home/.ssh/id_ed25519",
  "home/bin/repo/.git/config": "data",
  "home/.ssh/id_ed25519": "data",
  "home/.npmrc": "data",
  "home/project/.env": "data",
  "home/project/bin/run": "program",
  "home/data/set": "program",
};

describe.skipIf(why !== null)(`what a job finds of a user's home${why ? ` (skipped: ${why})` : ""}`, () => {
  let base = "";
  beforeAll(() => {
    base = newBase();
    chmodSync(base, 0o755);
    plant(base, HOME, CANARY);
  });
  afterAll(() => removeBase(base));

  for (const user of USERS)
    test.skipIf(user.why !== null)(
      `with programs on ${user.name}'s PATH: the programs run, and no secret is visible${user.why ? ` (skipped: ${user.why})` : ""}`,
      async () => {
        const at = (path: string) => join(base, path);
        const path = ["home/.local/bin", "home/bin", "home/project/bin"].map(at).join(":");
        const lending = {
          readOnlyPaths: [at("home/data"), at("home/.local/share")],
          neverLent: [at("home/.local/share/opencode")],
          project: at("home/project"),
        };
        const { said } = await attackAs(
          user,
          {
            sandboxes: 1,
            network: "blocked",
            lending,
            steps: [
              [0, "deploy; tool; black; run; echo $PATH"],
              [0, `cd ${at("home")} && grep -rl ${CANARY} . 2>/dev/null; find . -type f | sort`],
              // The mount table shows paths of the host; none of them is reachable unless it is lent.
              [0, "cut -d' ' -f4 /proc/self/mountinfo | sed -n 's#/\\(workspace\\|home\\|tmp\\|logs\\)$##p' | grep sbx_ | { read -r at && echo seen; ls -d $at /tmp$at; }"],
              [0, `for at in ${at("home/bin/run")} ${at("home/work/deploy.sh")} ${at("home/data/set")}; do echo x 2>/dev/null >> $at && echo WRITTEN; chmod 777 $at 2>/dev/null && echo CHANGED; done; touch ${at("home/new")} 2>/dev/null && echo MADE; true`],
              // A lease on a file blocks whoever opens it for writing until the kernel breaks the lease.
              [0, `perl -e 'open(F, "<", $ARGV[0]) or die; print fcntl(F, 1024, 0) ? "LEASED" : $!' ${at("home/bin/run")}`],
              // Replaced the way a token is refreshed.
              [HOST, `cd ${at("home/.local/share/pipx/venvs/black/lib/mine")} && echo ${CANARY} > .new && mv .new .env && cat .env`],
              [0, `grep -rl ${CANARY} ${at("home")} 2>/dev/null; ${at("home/.local/share/pipx/venvs/black/lib/mine/run")}`],
            ],
          },
          { around: ["env", `HOME=${at("home")}`, `PATH=${path}:/usr/bin:/bin`] },
        ); // biome-ignore format: one command per line
        const [ran, found, mounts, written, lease, token, refreshed] = said;
        expect(ran?.stdout.replaceAll(`${base}/`, "").split("\n")).toEqual([
          "ran home/.local/bin/deploy",
          "ran home/.local/bin/tool",
          "ran home/.local/bin/black",
          "ran home/bin/run",
          "home/.local/bin:home/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "",
        ]);
        expect(found?.stdout.split("\n")).toEqual([
          "./.local/bin/tool",
          "./.local/share/pipx/venvs/black/bin/black",
          "./.local/share/pipx/venvs/black/lib/mine/run",
          "./.local/share/pipx/venvs/black/lib/module.py",
          "./.local/share/pipx/venvs/black/pyvenv.cfg",
          "./bin/run",
          "./data/set",
          "./work/deploy.sh",
          "",
        ]);
        expect(mounts?.stdout).toBe("seen\n");
        expect(written?.stdout).toBe("");
        expect(lease?.stdout).toBe("Operation not permitted");
        expect(token?.stdout).toBe(`${CANARY}\n`);
        expect(refreshed?.stdout).toBe(`ran ${at("home/.local/share/pipx/venvs/black/lib/mine/run")}\n`);
        expect(ran?.notes.filter((note) => note.includes("readOnlyPaths"))).toEqual([
          `Not lent, though local.readOnlyPaths names it: ${at("home/.local/share")} (it holds OpenCode's own files).`,
        ]);
      },
    );
});

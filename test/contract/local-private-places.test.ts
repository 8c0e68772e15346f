import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { isRoot } from "../support/as-ordinary-user.ts";
import { plant, removeBase } from "../support/lent-fixture.ts";
import { attackAs, USERS } from "./attack-users.ts";
import { whyNoIsolation } from "./local-support.ts";

const why = (await whyNoIsolation()) ?? (isRoot() ? null : "only root may make folders below /usr");
const CANARY = `canary-${crypto.randomUUID()}`;

const PLACES = {
  "src/app/.env": "data",
  "src/app/.git/HEAD": "data",
  "src/app/notes/x": "data",
  "src/app/.venv/pyvenv.cfg": "program",
  "src/app/.venv/bin/run": "program",
  "src/app/.venv/lib/x": "program",
  "home/ada/.ssh/id_rsa": "data",
  "home/ada/.local/share/opencode/auth.json": "data",
  "home/ada/bin/mine": "program",
  "home/bob/notes": "data",
  "other/theirs": "program",
};

describe.skipIf(why !== null)(`a project and a home below a system folder${why ? ` (skipped: ${why})` : ""}`, () => {
  let base = "";
  beforeAll(() => {
    base = mkdtempSync("/usr/.opa-test-");
    chmodSync(base, 0o755);
    plant(base, PLACES, CANARY);
  });
  afterAll(() => removeBase(base));

  for (const user of USERS)
    test.skipIf(user.why !== null)(`are not visible to a job of ${user.name}, and its programs run`, async () => {
      const at = (path: string) => join(base, path);
      const lending = {
        readOnlyPaths: [],
        neverLent: [at("home/ada/.local/share/opencode")],
        project: at("src/app"),
      };
      const path = [at("src/app/.venv/bin"), at("home/ada/bin"), "/usr/bin", "/bin"].join(":");
      const { said } = await attackAs(
        user,
        {
          sandboxes: 1,
          network: "blocked",
          lending,
          steps: [
            [0, "run; mine; python3 -c 'print(6 * 7)'; ls -d /usr/share/zoneinfo"],
            [0, `cd ${base} && grep -rl ${CANARY} .; find . -type f | sort`],
          ],
        },
        { around: ["env", `HOME=${at("home/ada")}`, `PATH=${path}`] },
      );
      const ran = [at("src/app/.venv/bin/run"), at("home/ada/bin/mine")].map((program) => `ran ${program}`);
      expect(said[0]?.stdout.split("\n")).toEqual([...ran, "42", "/usr/share/zoneinfo", ""]);
      expect(said[1]?.stdout.split("\n")).toEqual([
        "./home/ada/bin/mine",
        "./other/theirs",
        "./src/app/.venv/bin/run",
        "./src/app/.venv/lib/x",
        "./src/app/.venv/pyvenv.cfg",
        "",
      ]);
    });
});

/** Shows whoever runs after it other settings of the system, in a mount namespace of its own. */
const PLANT = `
mount -t tmpfs -o mode=755 none /usr/local/etc && mount -t tmpfs -o mode=755 none /etc/perl || exit 9
for at in /usr/local/etc /etc/perl; do
  mkdir $at/open $at/closed
  for path in plain secret open/plain open/secret closed/plain; do echo ${CANARY}-$path > $at/$path; done
  chmod 644 $at/plain $at/open/plain $at/closed/plain; chmod 600 $at/secret; chmod 640 $at/open/secret; chmod 700 $at/closed
done
exec "$@"`;

const canPlant = spawnSync("unshare", ["-m", "sh", "-c", PLANT, "plant", "true"]).status === 0;

describe.skipIf(why !== null || !canPlant)("files of the system that not everybody may read", () => {
  for (const user of USERS)
    test.skipIf(user.why !== null)(`are not visible to a job of ${user.name}, and those beside them are`, async () => {
      const { said } = await attackAs(
        user,
        {
          sandboxes: 1,
          network: "blocked",
          steps: [[0, `grep -rsh ${CANARY} /usr/local/etc /etc/perl | sed 's/.*-//' | sort`]],
        },
        { before: ["unshare", "-m", "sh", "-c", PLANT, "plant"] },
      );
      expect(said[0]?.stdout.split("\n")).toEqual(["open/plain", "open/plain", "plain", "plain", ""]);
    });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
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

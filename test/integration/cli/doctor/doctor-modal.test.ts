import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type ModalServerProcess, startModalServerProcess } from "../../../support/modal-server/own-process.ts";
import { type DoctorHome, runDoctor, withDoctorHome } from "./doctor-home.ts";

let modal: ModalServerProcess;
beforeAll(async () => {
  modal = await startModalServerProcess();
});
afterAll(() => modal.stop());

const SECRETS = ["ak-wrongtoken", "as-wrongsecret"] as const;

/** What doctor says of the credentials, and of the sandbox on Modal. It never says the credentials themselves. */
function credentialsOf(home: DoctorHome, args: readonly string[] = []) {
  const { stdout, code } = runDoctor(home, ["--json", ...args]);
  const { MODAL_TOKEN_ID = "", MODAL_TOKEN_SECRET = "" } = modal.env;
  for (const secret of [...SECRETS, MODAL_TOKEN_ID, MODAL_TOKEN_SECRET]) expect(stdout).not.toContain(secret);
  const { findings } = JSON.parse(stdout) as { findings: { name: string; level: string; meaning: string; remedy?: string }[] };
  const of = (name: string) => findings.find((finding) => finding.name === name);
  const said = (name: string) => `${of(name)?.level}: ${of(name)?.meaning} → ${of(name)?.remedy}`;
  return { code, credentials: said("credentials"), trial: said("dry-run-modal"), isolation: said("isolation") };
} // biome-ignore format: one line

describe("doctor, of an account at Modal,", () => {
  test("says where the credentials are and whose they are, and starts nothing", () =>
    withDoctorHome(async (home) => {
      const { MODAL_TOKEN_ID, MODAL_TOKEN_SECRET, MODAL_CONFIG_PATH: _, ...server } = modal.env;
      Object.assign(home.env, server);
      home.write("home/.modal.toml", `[work]\ntoken_id = "${MODAL_TOKEN_ID}"\ntoken_secret = "${MODAL_TOKEN_SECRET}"\nactive = true\n`);
      expect(credentialsOf(home).credentials).toMatch(
        /^ok: Jobs run on Modal, with the credentials in profile "work" of .*\.modal\.toml: the workspace test-workspace answers, in \d+ ms\. .*MODAL_SERVER_URL/,
      );
      expect(await modal.sandboxes({ live: false })).toEqual([]);
      expect((await modal.calls()).map(({ method }) => method)).not.toContain("AppGetOrCreate");
    })); // biome-ignore format: one line

  test("tries a sandbox there when it is asked to, and ends it", () =>
    withDoctorHome(async (home) => {
      Object.assign(home.env, modal.env);
      expect(credentialsOf(home, ["--modal"]).trial).toMatch(/^ok: A Modal sandbox worked and was removed again: making a sandbox \d+ ms/);
      expect(await modal.sandboxes({ live: true })).toEqual([]);
    })); // biome-ignore format: one line

  test("names credentials that are refused", () =>
    withDoctorHome((home) => {
      Object.assign(home.env, modal.env, { MODAL_TOKEN_ID: SECRETS[0], MODAL_TOKEN_SECRET: SECRETS[1] });
      const { code, credentials } = credentialsOf(home);
      expect(credentials).toMatch(/^fault: .*cannot be used: Modal refused the credentials of MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.* → /);
      expect(code).toBe(1);
    })); // biome-ignore format: one line

  test("names a server that is not there, and the variable that names it", () =>
    withDoctorHome((home) => {
      Object.assign(home.env, modal.env, { MODAL_SERVER_URL: "http://127.0.0.1:9" });
      const { code, credentials, trial } = credentialsOf(home, ["--modal"]);
      expect(credentials).toMatch(/^fault: .*cannot be used: .* → Take MODAL_SERVER_URL out of the environment/);
      expect(trial).toMatch(/^fault: In a Modal sandbox, making a sandbox failed: /);
      expect(code).toBe(1);
    }));

  test("does not mind that local sandboxes cannot be made", () =>
    withDoctorHome((home) => {
      Object.assign(home.env, modal.env);
      home.write("home/.config/opencode/parallel-agents.jsonc", '{ "local": { "isolation": "seatbelt" } }');
      rmSync(join(home.home, ".config/opencode/tui.json"));
      const { code, isolation } = credentialsOf(home);
      expect(isolation).toMatch(/^warning: No local sandbox can be made: .*Jobs run on Modal here/);
      expect(code).toBe(0);
    }));
});

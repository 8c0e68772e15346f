import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ModalSetup, type ModalSetupSettings, startModalSetup, withModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetup, startSetupIn, type TestSetup } from "../support/test-setup.ts";
import { ask, start, status, task, turn, wait } from "../support/turns.ts";

/** OpenCode of a user with Modal credentials, and of a user without. Each test has a project of its own in one of them. */
let host: ModalSetup;
let poor: TestSetup;

beforeAll(async () => {
  host = await startModalSetup();
  poor = await startSetup();
});

afterAll(async () => {
  await host?.stop();
  await poor?.stop();
});

async function inProject(
  options: Record<string, unknown>,
  use: (setup: TestSetup) => Promise<void>,
  of: TestSetup = host,
): Promise<void> {
  const setup = await startSetupIn(of, options);
  try {
    await use(setup);
  } finally {
    await setup.stop();
  }
}

/** What the user and the model are told of the place where jobs run. */
async function told({ server, model }: TestSetup) {
  const before = model.requests.length;
  const session = await server.createSession();
  await turn(server, session.id, start(task("runs", say("ran"))));
  const waited = await ask(server, session.id, wait());
  const { output, metadata } = await ask(server, session.id, status());
  await server.events.waitFor((event) => event.type === "tui.toast.show", { what: "the user is told" });
  const toasts = server.events.all.filter((event) => event.type === "tui.toast.show");
  const shown = toasts.map(({ properties }) => (properties as { message: string }).message);
  const system = model.requests.slice(before).find(({ tools }) => tools.includes("agents_cancel"))?.system ?? "";
  const places = shown.filter((message) => message.startsWith("Jobs run"));
  return { jobs: metadata.jobs, output: `${waited.output}${output}`, toasts: places, system };
}

const CREDENTIALS = { MODAL_TOKEN_ID: undefined, MODAL_TOKEN_SECRET: undefined };
const toml = '["me"]\nactive = true\ntoken_id = "ak-test"\ntoken_secret = "as-test"\n';

const FOUND: Record<string, { readonly settings: ModalSetupSettings | null; readonly why: RegExp }> = {
  "in the environment": { settings: null, why: /MODAL_TOKEN_ID and MODAL_TOKEN_SECRET/ },
  "in the file of modal setup": {
    settings: { env: { ...CREDENTIALS, MODAL_CONFIG_PATH: undefined }, homeFiles: { ".modal.toml": toml } },
    why: /profile "me" of .*\.modal\.toml/,
  },
};

for (const [where, { settings, why }] of Object.entries(FOUND)) {
  sandboxTest(`with credentials ${where} runs jobs on Modal, and says so to user and model`, () => {
    const within = (use: (setup: TestSetup) => Promise<void>) =>
      settings ? withModalSetup({}, settings, use) : inProject({}, use);
    return within(async (setup) => {
      const { jobs, output, toasts, system } = await told(setup);
      expect(jobs).toMatchObject([{ state: "completed", provider: "modal" }]);
      expect(output).toContain("Jobs run on Modal");
      expect(toasts).toEqual([expect.stringMatching(/^Jobs run on Modal: /)]);
      expect(toasts[0]).toMatch(why);
      expect(system).toContain("Jobs run in Modal sandboxes.");
      expect(system).not.toContain("local sandboxes");
      for (const text of [output, toasts[0] ?? "", system]) expect(text).not.toContain("as-test");
    });
  });
}

const NOT_MODAL: Record<string, { readonly setup: () => Promise<TestSetup>; readonly why: RegExp }> = {
  "without credentials": { setup: () => startSetupIn(poor), why: /No Modal credentials were found: run "modal setup"/ },
  "with half a token": {
    setup: () => startSetup({}, { env: { MODAL_TOKEN_ID: "ak-test" } }),
    why: /the secret is missing/,
  },
  "when the options say so": {
    setup: () => startSetupIn(host, { provider: "local" }),
    why: /the option "provider" says so/,
  },
};

for (const [when, { setup: startIt, why }] of Object.entries(NOT_MODAL)) {
  sandboxTest(
    `${when} runs jobs in local sandboxes, says so to user and model, and refuses a GPU with the remedy`,
    async () => {
      const setup = await startIt();
      try {
        const { jobs, output, toasts, system } = await told(setup);
        expect(jobs).toMatchObject([{ state: "completed", provider: "local" }]);
        expect(output).toContain("Jobs run in local sandboxes");
        expect(toasts).toEqual([expect.stringMatching(/^Jobs run in local sandboxes on this machine: /)]);
        expect(toasts[0]).toMatch(why);
        expect(system).toContain("Jobs run in local sandboxes");
        expect(system).not.toContain("Modal sandboxes");
        const session = await setup.server.createSession();
        const { metadata } = await ask(setup.server, session.id, start({ ...task("gpu", say("no")), gpu: "T4" }));
        expect(metadata.jobs).toMatchObject([{ state: "failed", error: { code: "invalid_task" } }]);
        expect(metadata.jobs[0]?.error?.message).toContain("set up Modal credentials");
      } finally {
        await setup.stop();
      }
    },
  );
}

describe("when no job can have a sandbox, one clear error names the remedy", () => {
  const failure = async ({ server }: TestSetup, more: object = {}) => {
    const session = await server.createSession();
    const [, waited] = await turn(server, session.id, start({ ...task("never", say("no")), ...more }), wait());
    const [job] = waited?.metadata.finished ?? [];
    expect(job).toMatchObject({ state: "failed", sandbox: "none", provider: "modal" });
    return job?.error;
  };

  test("wrong credentials", () =>
    withModalSetup({}, { env: { MODAL_TOKEN_SECRET: "as-wrong" } }, async (setup) => {
      const error = await failure(setup);
      expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: false });
      expect(error?.message).toMatch(/Modal refused the credentials of MODAL_TOKEN_ID.*Run "modal setup"/s);
      expect(JSON.stringify(setup.model.requests.map(({ raw }) => raw))).not.toContain("as-wrong");
      expect(setup.server.log()).not.toContain("as-wrong");
    }));

  test("no credentials although the options name Modal", () =>
    inProject(
      { provider: "modal" },
      async (setup) => {
        const error = await failure(setup);
        expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: false });
        expect(error?.message).toMatch(/No Modal credentials were found: run "modal setup"/);
      },
      poor,
    ));

  test("no network, and the next job runs once it is back", () =>
    inProject({}, async (setup) => {
      await host.modal.stopControl();
      const error = await failure(setup);
      expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: true });
      expect(error?.message).toMatch(/Modal could not be reached.*Check the network/s);
      await host.modal.startControl();
      const session = await setup.server.createSession();
      const [, waited] = await turn(setup.server, session.id, start(task("again", say("ran"))), wait());
      expect(waited?.metadata.finished).toMatchObject([{ state: "completed", result: "ran" }]);
    }));

  test("a GPU type that does not exist, or that this workspace does not have", () =>
    inProject({}, async (setup) => {
      const before = { calls: (await host.modal.calls()).length, sandboxes: (await host.modal.sandboxes()).length };
      const session = await setup.server.createSession();
      const unknown = ["H9000", "H100:99", "H100|", "H100:0"].map((gpu) => ({ ...task("no", say("no")), gpu }));
      const { jobs } = (await ask(setup.server, session.id, start(...unknown))).metadata;
      expect(jobs.map(({ state, error }) => [state, error?.code as string])).toEqual(
        unknown.map(() => ["failed", "invalid_task"]),
      );
      expect(jobs[0]?.error?.message).toMatch(/gpu "H9000".*T4/s);
      expect((await host.modal.calls()).slice(before.calls)).toEqual([]);
      // Known to us and not to the server.
      const error = await failure(setup, { gpu: "B300" });
      expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: false });
      expect(error?.message).toMatch(/B300.*Known: T4/s);
      expect((await host.modal.sandboxes()).slice(before.sandboxes)).toEqual([]);
    }));

  for (const method of ["AppGetOrCreate", "ImageGetOrCreate"]) {
    test(`${method} that finds nothing`, () =>
      inProject(
        { modal: { environment: "nowhere", app: "mine" }, environments: { default: { image: "no/such:image" } } },
        async (setup) => {
          // More than once, because what Modal no longer knows is looked up once more.
          await host.modal.faults.add({ method, code: 5, message: "not found at all", times: 10 });
          const error = await failure(setup);
          await host.modal.faults.clear();
          expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: false });
          const remedies = {
            AppGetOrCreate: /environment "nowhere".*modal\.environment/s,
            ImageGetOrCreate: /no\/such:image.*"image"/s,
          };
          expect(error?.message).toMatch(remedies[method as keyof typeof remedies]);
        },
      ));
  }

  test("a secret that does not exist", () =>
    inProject({ environments: { default: { secrets: ["hf-token"] } } }, async (setup) => {
      const error = await failure(setup);
      expect(error).toMatchObject({ code: "sandbox_create_failed", retryable: false });
      expect(error?.message).toMatch(/hf-token.*modal secret/s);
    }));
});

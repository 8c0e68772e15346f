import { expect, test } from "bun:test";
import { type CredentialFacts, judgeCredentials } from "../../../../src/cli/doctor/checks/credentials.ts";
import { type FoundOpencode, judgeGit, judgeOpencode, judgeRuntime } from "../../../../src/cli/doctor/checks/host.ts";
import { judgeLeftovers } from "../../../../src/cli/doctor/checks/leftovers.ts";
import { judgePackage } from "../../../../src/cli/doctor/checks/package.ts";
import { ISOLATION, judgeLocalTrial, judgeModalTrial, type Trial } from "../../../../src/cli/doctor/checks/sandbox.ts";
import { judgeState } from "../../../../src/cli/doctor/checks/state.ts";
import { versionIn } from "../../../../src/cli/doctor/find-opencode.ts";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import type { StateFacts } from "../../../../src/cli/doctor/state-facts.ts";

const line = ({ level, name, meaning, remedy }: Finding) => `${level} ${name}: ${meaning} → ${remedy ?? ""}`;
const lines = (findings: readonly Finding[]) => findings.map(line);

const at = (version: string): FoundOpencode => ({ kind: "found", path: "/bin/opencode", version, others: [] });

test.each<[FoundOpencode, RegExp]>([
  [at("1.18.33"), /^ok .*1\.18\.33 \(\/bin\/opencode\)/],
  [at("1.19.6"), /^warning .*tested with OpenCode 1\.18\.33, not with OpenCode 1\.19\.6/],
  [at("1.17.9"), /^fault .*needs 1\.18 or a later 1\.x.*npm install -g opencode-ai@1\.18\.33$/],
  [at("2.1.4"), /^fault .*is OpenCode 2\.1\.4.*not on OpenCode 2.*→ Install OpenCode 1: npm/],
  [at("local"), /^warning /],
  [{ kind: "found", path: "/a", version: "1.18.33", others: ["/b"] }, /^ok .*Further ones .* \/b\./],
  [{ kind: "silent", path: "/bin/opencode", said: "" }, /^fault .*did not say its version: it printed nothing/],
  [{ kind: "absent", hasRun: false }, /^fault .*not on PATH and has never run here/],
  [{ kind: "absent", hasRun: true }, /^warning .*desktop app/],
])("OpenCode: %j", (found, expected) => {
  expect(line(judgeOpencode(found))).toMatch(expected);
});

test.each([
  ["1.18.33\n", "1.18.33"],
  ["opencode v2.1.4 (linux)\n", "2.1.4"],
  ["A new version is available!\n1.18.33", "1.18.33"],
  ["0.0.0-dev-202611", "0.0.0-dev-202611"],
  ["local\n", "local"],
  ["command not found", null],
  ["", null],
])("the version in %j", (said, version) => {
  expect(versionIn(said)).toBe(version);
});

test("git and the runtime", () => {
  expect(line(judgeGit("git version 2.39.5"))).toMatch(/^ok git/);
  expect(line(judgeGit("git version 3.0.0"))).toMatch(/^ok git/);
  expect(line(judgeGit("git version 2.17.1"))).toMatch(/^warning git: .*older than 2\.39.* → Install git/);
  expect(line(judgeGit(null))).toMatch(/^fault git: git cannot be run/);
  expect(line(judgeRuntime("Node 20.1.0", false))).toMatch(/^warning runtime: .*no SQLite.* → .*22\.13.*Bun/);
  expect(line(judgeRuntime("Bun 1.3.14", true))).toMatch(/^ok runtime/);
});

const found = { kind: "found", source: 'profile "work" of /h/.modal.toml' } as const;
const unusable = { kind: "unusable", message: "The secret is missing." } as const;
const missing = { kind: "missing", message: "No Modal credentials were found." } as const;
const credentials = (change: Partial<CredentialFacts>) =>
  line(judgeCredentials({ wanted: "auto", found, reach: null, hasOwnServer: false, ...change }));

test.each<[Partial<CredentialFacts>, RegExp]>([
  [{ found: missing }, /^ok .*no.* account is set up, so jobs run in local sandboxes/i],
  [{ found: missing, wanted: "modal" }, /^fault .*so jobs fail.*modal setup/],
  [{ found: unusable }, /^fault .*secret is missing.*local sandboxes instead.*modal setup/],
  [{ found: unusable, wanted: "modal" }, /^fault .*jobs fail/],
  [{ found: unusable, wanted: "local" }, /^warning .*does not matter/],
  [{ wanted: "local" }, /^ok .*but the option "provider" is "local"/],
  [{ reach: { kind: "answered", workspace: "ada", inMs: 90 } }, /^ok .*profile "work".*the workspace ada answers, in 90 ms/],
  [{ reach: { kind: "answered", workspace: null, inMs: 90 } }, /^ok .*the account answers/],
  [{ reach: { kind: "failed", message: "Refused." } }, /^fault .*cannot be used: Refused\..*status\.modal\.com/],
  [{ reach: { kind: "failed", message: "Refused." }, hasOwnServer: true }, /^fault .*→ Take MODAL_SERVER_URL out/],
])("credentials: %j", (change, expected) => {
  expect(credentials(change)).toMatch(expected);
}); // biome-ignore format: a table

const own = { root: "/plugin", name: "opencode-parallel-agents", version: "0.1.0", dependencies: { modal: "0.11.1" }, isThisPlugin: true, isBuilt: true }; // biome-ignore format: one line
const modal = (version: string) => ({ ...own, name: "modal", version, isThisPlugin: false });

test("the package and what it must find installed", () => {
  const judge = (change: Partial<Parameters<typeof judgePackage>[0]>) =>
    lines(judgePackage({ own, pinned: { modal: modal("0.11.1") }, isStale: false, ...change }));
  expect(judge({})).toEqual(["ok package: opencode-parallel-agents 0.1.0 in /plugin, with modal 0.11.1. → "]);
  expect(judge({ pinned: { modal: modal("1.2.0") } })[0]).toMatch(/^fault .*in version 1\.2\.0 where exactly 0\.11\.1.*another one.*npm ci/);
  expect(judge({ pinned: { modal: null } })[0]).toMatch(/^fault .*modal is not installed/);
  expect(judge({ isStale: true })[0]).toMatch(/^warning .*changed after the build.*npm run build/);
  expect(judge({ own: { ...own, isThisPlugin: false } })[0]).toMatch(/^fault .*not to opencode-parallel-agents/);
  expect(judge({ own: null })[0]).toMatch(/^fault .*no package/);
}); // biome-ignore format: a table

const trial: Trial = { isolation: "bubblewrap", steps: [{ doing: ISOLATION, inMs: 5 }], failure: null, notes: [], lent: null, gpus: null, system: [], isRemoved: true }; // biome-ignore format: one line
const local = (change: Partial<Trial>, isNeeded = true) => lines(judgeLocalTrial({ ...trial, ...change }, isNeeded));

test("a local sandbox that was tried", () => {
  expect(local({})).toEqual([
    expect.stringMatching(/^ok isolation/),
    "ok dry-run: A local sandbox worked and was removed again: making a sandbox 5 ms. → ",
  ]);
  const failure = { doing: ISOLATION, why: "Tried bubblewrap: bwrap not installed (remedy: apt install bubblewrap)." };
  expect(local({ failure })).toEqual([expect.stringMatching(/^fault isolation: .*bwrap not installed.* → Run: sudo apt install bubblewrap/)]);
  expect(local({ failure }, false)[0]).toMatch(/^warning isolation: .*Jobs run on Modal here/);
  expect(local({ failure: { doing: "writing a file", why: "no" } }).at(-1)).toMatch(/^fault dry-run: .*writing a file failed: no/);
  expect(local({ isolation: "none" })[0]).toMatch(/^warning isolation: .*run as you/);
  expect(local({ isRemoved: false }).at(-1)).toMatch(/^warning dry-run: .*could not be removed.* gc$/);
  expect(line(judgeModalTrial({ ...trial, failure }))).toMatch(/^fault dry-run-modal/);
}); // biome-ignore format: a table

test.each([
  ["No network: neither slirp4netns nor pasta is installed.", /^warning network: .*apt install slirp4netns/],
  ["Names cannot be resolved: the host's resolvers listen on its loopback.", /^warning network: .*name server/],
  ["The number of processes is not limited: no cgroup can be made.", /^warning limits: .*cgroups/],
  ["Not lent, though local.readOnlyPaths names it: /x (it holds keys).", /^warning lent-files: .*readOnlyPaths/],
])("what a sandbox says it lacks: %s", (note, expected) => {
  expect(local({ notes: [note] })[1]).toMatch(expected);
});

test("what of this machine's GPUs jobs can be given is said, and why not all", () => {
  const gpus = [
    { id: "0", name: "NVIDIA H100 80GB HBM3" },
    { id: "3", name: "NVIDIA H100 80GB HBM3" },
  ];
  const told = (reading: Trial["gpus"]) =>
    local({ gpus: reading }).find((line) => line.includes("GPU") || line.includes("H100"));
  expect(told({ gpus, why: null })).toContain("2 H100, each to one at a time with its device and the driver's files: ");
  expect(told({ gpus, why: null })).toContain("/dev/nvidia3");
  expect(told({ gpus, why: "NVIDIA GPU: /dev/nvidia1 does not exist" })).toMatch(/^warning.*nvidia1 does not exist/);
  expect(told({ gpus: [], why: "no NVIDIA driver is loaded on this machine" })).toMatch(
    /^ok.*no GPUs: no NVIDIA driver/,
  );
});

test("all that is lent, by its reason", () => {
  const lent = { lent: ["/a", "/b", "/c d"].map((path) => ({ path, why: "program on PATH" })), refused: [{ path: "/k", why: "keys" }] };
  expect(local({ lent, system: ["/usr"] })[1]).toMatch(/Of the system: \/usr\. program on PATH: \/a, \/b, "\/c d"\. Not lent: \/k \(keys\)\./);
}); // biome-ignore format: a table

const folder = { path: "/s", kind: "folder", mode: 0o700, isForeign: false, refusal: null } as const;
const state: StateFacts = { folder, shortage: null, freeMiB: 9, bad: [], aside: [], sessions: 2, lookedInto: 2 };

test.each<[Partial<StateFacts>, RegExp]>([
  [{}, /^ok state: \/s is yours alone/],
  [{ folder: { ...folder, kind: "absent" } }, /^ok .*the first job makes it/],
  [
    { folder: { ...folder, kind: "absent", refusal: "EACCES" } },
    /^fault .*cannot be made: you have no right.*stateDir/,
  ],
  [{ folder: { ...folder, kind: "other" } }, /^fault .*is a file.*Move it away/],
  [{ folder: { ...folder, isForeign: true } }, /^fault .*another user.*chown/],
  [{ folder: { ...folder, refusal: "EROFS" } }, /^fault .*read-only.*Make that place writable/],
  [{ folder: { ...folder, refusal: "EACCES" } }, /^fault .*no right to write.*chmod 700 \/s/],
  [{ folder: { ...folder, mode: 0o500 } }, /^fault .*rights 500.*chmod 700 \/s$/],
  [{ folder: { ...folder, mode: 0o777 } }, /^fault .*rights 777: other users may change.*chmod 700 \/s$/],
  [{ folder: { ...folder, mode: 0o755 } }, /^warning .*rights 755: other users can see.*chmod 700 \/s$/],
])("the state directory: %j", (change, expected) => {
  expect(lines(judgeState({ ...state, ...change }, true))[0]).toMatch(expected);
});

test("state files and the disk", () => {
  const judge = (change: Partial<StateFacts>, isLocal = true) => lines(judgeState({ ...state, ...change }, isLocal)).slice(1);
  expect(judge({})).toEqual([
    "ok state-files: 2 sessions have jobs recorded; none of the files is damaged. → ",
    "ok disk-space: 9 MiB are free on the disk of /s. → ",
  ]);
  expect(judge({ bad: [{ file: "/s/pool.db", kind: "damaged", message: "" }] })[0]).toMatch(/^fault state-files: .*\/s\/pool\.db is damaged.*labels and snapshots.*copy it now/);
  expect(judge({ bad: [{ file: "/s/sessions/a.db", kind: "damaged", message: "" }] })[0]).toMatch(/^fault .*jobs of that session/);
  expect(judge({ bad: [{ file: "/s/pool.db", kind: "unusable", message: "It is newer." }] })[0]).toMatch(/^fault state-files: It is newer/);
  expect(judge({ aside: ["/s/pool.db.damaged-1"] })[0]).toMatch(/^warning .*damaged before.*pool\.db\.damaged-1/);
  expect(judge({ sessions: 80, lookedInto: 50 })[0]).toMatch(/80 sessions .* the 50 newest were looked into/);
  expect(judge({ shortage: "only 1 MiB are free" })[1]).toMatch(/^fault disk-space: .*only 1 MiB are free.*Free some/);
  expect(judge({ shortage: "only 1 MiB are free" }, false)[1]).toMatch(/^warning disk-space/);
}); // biome-ignore format: a table

test("sandboxes that gc would end", () => {
  const nothing = { ended: [], parked: [], failures: [] };
  expect(lines(judgeLeftovers(null))[0]).toMatch(/^ok /);
  expect(lines(judgeLeftovers(nothing))[0]).toMatch(/^ok /);
  expect(lines(judgeLeftovers({ ...nothing, ended: ["sbx_1"], parked: ["sbx_2", "sbx_3"] }))).toEqual([
    expect.stringMatching(/^warning .*one sandbox that no job needs any more \(sbx_1\), and 2 sandboxes of finished jobs.* gc$/),
  ]);
  expect(lines(judgeLeftovers({ ...nothing, failures: ["Could not look."] }))).toEqual(["warning leftover-sandboxes: Could not look. → Run in the plugin's folder: npx opencode-parallel-agents gc"]);
}); // biome-ignore format: a table

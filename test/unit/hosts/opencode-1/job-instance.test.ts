import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import type { PluginInput } from "@opencode-ai/plugin";
import { createHostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { join } from "../../../../src/hosts/opencode-1/instances.ts";
import { createJobInstances, isOwnInstanceBetter } from "../../../../src/hosts/opencode-1/job-instance.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Settings {
  readonly git?: "folder" | "file" | "none";
  readonly isWanted?: boolean;
  /** Whether the plugin is in the instance that OpenCode opens; "late" = once `load` is called. */
  readonly joins?: boolean | "late";
}

function open({ git = "folder", isWanted = true, joins = true }: Settings = {}) {
  const directory = mkdtempSync(path(tmpdir(), "job-instance-"));
  made.push(directory);
  if (git === "folder") mkdirSync(path(directory, ".git"));
  if (git === "file") writeFileSync(path(directory, ".git"), "gitdir: elsewhere\n");
  const asked: string[] = [];
  const complaints: string[] = [];
  const dispose = () => hooks?.dispose?.();
  let hooks: ReturnType<typeof join> | null = null;
  let load = () => {};
  const loaded =
    joins === "late"
      ? new Promise<void>((resolve) => {
          load = resolve;
        })
      : null;
  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const where =
      url.searchParams.get("directory") ?? decodeURIComponent(request.headers.get("x-opencode-directory") ?? "");
    asked.push(`${request.method} ${url.pathname} ${where.replace(directory, "")}`);
    if (joins && url.pathname === "/tui/publish") {
      await loaded;
      // The first request has OpenCode load the instance, whose plugins hear of nothing before they all are loaded.
      if (hooks) await hooks.event?.({ event: { type: "server.connected", properties: {} } });
      hooks ??= join({ directory: where, worktree: directory }, { event: async () => {} });
    }
    if (url.pathname === "/instance/dispose") {
      await hooks?.dispose?.();
      hooks = null;
    }
    return Response.json(
      url.pathname === "/session/ses_old" ? { id: "ses_old", directory: path(directory, ".git") } : [],
    );
  };
  const getConfig = () => ({ baseUrl: "http://host", fetch: answer, headers: {} });
  const input = { client: { _client: { getConfig } }, directory, worktree: directory } as unknown as PluginInput;
  const client = createHostClient(input);
  const clock = createFakeClock();
  const instances = createJobInstances({
    input,
    client,
    isWanted: async () => isWanted,
    clock,
    log: (_level, message) => complaints.push(message),
  });
  async function ends<T>(call: Promise<T>): Promise<T> {
    const ended = call.finally(() => {
      isOver = true;
    });
    for (let isWaiting = true; isWaiting; isWaiting = !isOver) await clock.advance(50);
    isOver = false;
    return await ended;
  }
  let isOver = false;
  return { asked, complaints, client, instances, dispose, ends, clock, load };
}

const OPENING = ["POST /tui/publish /.git", "POST /tui/publish /.git"];

test("new sessions run in an instance at the project's .git folder, which is opened once", async () => {
  const { asked, client, instances, dispose, ends } = open();
  const [one, two] = await ends(Promise.all([instances.forNew(), instances.forNew()]));
  expect(one).not.toBe(client);
  expect(two).toBe(one);
  expect(asked).toEqual(OPENING);
  expect(instances.all()).toEqual([client, one]);
  await dispose();
});

test.each([
  ["the project has no repository", { git: "none" }],
  ["its .git is a file, as in a linked worktree", { git: "file" }],
  ["the user does not want it", { isWanted: false }],
] as const)(
  "sessions run in the instance that is open where %s, and nothing else is opened",
  async (_why, settings) => {
    const { asked, complaints, client, instances } = open(settings);
    expect(await instances.forNew()).toBe(client);
    expect([asked, complaints]).toEqual([[], []]);
  },
);

test("sessions run in the instance that is open where the plugin is not in the other, which the log says once, and no other job waits for that", async () => {
  const { asked, complaints, client, instances, ends } = open({ joins: false });
  expect(await ends(instances.forNew())).toBe(client);
  const tries = asked.length;
  expect(await instances.forNew()).toBe(client);
  expect(asked).toHaveLength(tries);
  expect(complaints).toEqual(["jobs run in the instance of OpenCode that is open"]);
});

test("a session of an earlier OpenCode is looked up once, and runs where it ran before", async () => {
  const { asked, client, instances, dispose, ends } = open();
  expect(await ends(instances.of("ses_old"))).not.toBe(client);
  await instances.of("ses_old");
  expect(asked).toEqual(["GET /session/ses_old ", ...OPENING]);
  instances.learn({ id: "ses_mine", directory: "/elsewhere" });
  expect(await instances.of("ses_mine")).toBe(client);
  await dispose();
});

test("a session that was made in an instance of its own runs there, and is asked there, also where the user does not want that any more", async () => {
  const { asked, client, instances, dispose, ends } = open({ isWanted: false });
  const own = await ends(instances.of("ses_old"));
  expect(own).not.toBe(client);
  expect(instances.all()).toEqual([client, own]);
  expect(await instances.forNew()).toBe(client);
  asked.length = 0;
  await own.session.status();
  expect(asked).toEqual(["GET /session/status /.git"]);
  await dispose();
});

test("a session that was made there is asked there even if the plugin is not", async () => {
  const { client, instances, ends } = open({ joins: false });
  const own = await ends(instances.of("ses_old"));
  expect(own).not.toBe(client);
});

test("jobs wait ten seconds for a slow instance, run in the open one then, and in their own once it is there", async () => {
  const { client, complaints, instances, dispose, clock, load } = open({ joins: "late" });
  const first = instances.forNew();
  await clock.advance(9_900);
  const second = instances.forNew();
  await clock.advance(200);
  expect(await first).toBe(client);
  expect(complaints).toEqual(["jobs run in the instance of OpenCode that is open"]);
  expect(await instances.forNew()).toBe(client);
  load();
  await clock.advance(10_000);
  expect(await second).not.toBe(client);
  expect(await instances.forNew()).not.toBe(client);
  await dispose();
});

test("the instance ends with its project's, and none is opened after that", async () => {
  const { asked, client, instances, dispose, ends } = open();
  const own = await ends(instances.forNew());
  await instances.close();
  expect(asked).toEqual([...OPENING, "POST /instance/dispose /.git"]);
  expect(await instances.of("ses_old")).toBe(own); // its turn may have to be stopped
  expect(await instances.of("ses_unknown")).toBe(client);
  expect(asked.slice(3)).toEqual(["GET /session/ses_old ", "GET /session/ses_unknown "]);
  await dispose();
});

test("an instance that was never opened is not ended", async () => {
  const { asked, instances } = open();
  await instances.close();
  expect(asked).toEqual([]);
});

const inputAt = (baseUrl: string) =>
  ({ client: { _client: { getConfig: () => ({ baseUrl }) } } }) as unknown as PluginInput;
const alone = inputAt("http://localhost:4096");

test("an instance of their own is better for jobs where OpenCode takes snapshots, nobody else listens, and no other plugin is there", () => {
  expect(isOwnInstanceBetter({}, alone)).toBe(true);
  expect(isOwnInstanceBetter({ plugin: ["opencode-parallel-agents"], snapshot: true }, alone)).toBe(true);
  expect(isOwnInstanceBetter({ snapshot: false }, alone)).toBe(false);
  expect(isOwnInstanceBetter({ plugin: ["opencode-parallel-agents", "file:///other.js"] }, alone)).toBe(false);
  expect(isOwnInstanceBetter({}, inputAt("http://127.0.0.1:4096"))).toBe(false);
});

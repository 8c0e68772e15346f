import { expect, test } from "bun:test";
import type { Hooks } from "@opencode-ai/plugin";
import { join, openIn } from "../../../../src/hosts/opencode-1/instances.ts";
import { untilWhole, type WholeInstanceDeps } from "../../../../src/hosts/opencode-1/whole-instance.ts";
import { systemClock } from "../../../../src/shared/clock.ts";

/** An OpenCode with one directory, which has the agents of `agents` in its instances, one after another. */
function open(directory: string, ...agents: string[][]) {
  const did: string[] = [];
  let hooks: Hooks = {};
  let loaded = 0;
  const answer = async (data: unknown) => ({ data });
  const deps = {
    client: {
      app: { agents: () => answer(agents[loaded - 1]?.map((name) => ({ name }))) },
      instance: { dispose: () => answer(void reload()) },
      session: { status: () => answer({}) },
    } as unknown as WholeInstanceDeps["client"],
    directory,
    clock: systemClock,
    log: (_level: string, message: string) => void did.push(message),
    open: () => openIn(directory),
  };
  const load = () => {
    const name = `instance ${++loaded}`;
    const own: Hooks = { "chat.message": async () => void did.push(`${name}: message`) };
    hooks = join({ directory, worktree: directory }, own, () => untilWhole(deps));
  };
  async function reload() {
    did.push("reload");
    await hooks.dispose?.();
    load();
  }
  load();
  const tell = (to = hooks) => to["chat.message"]?.({ sessionID: "ses_1" }, {} as never);
  return { did, reload, tell, current: () => hooks };
}

const WHOLE = ["build", "sandbox_worker"];
const HALF = ["build"];

test("an instance that has the agent of jobs is left as it is, and so is the first one of a directory", async () => {
  const { did, reload, tell } = open("/w1", HALF, WHOLE);
  await tell();
  await reload();
  await tell();
  expect(did).toEqual(["instance 1: message", "reload", "instance 2: message"]);
});

test("one that lacks it is loaded again, once for all its messages, which reach the next one", async () => {
  const { did, reload, tell, current } = open("/w2", WHOLE, HALF, WHOLE);
  await reload();
  const half = current();
  await Promise.all([tell(half), tell(half)]);
  await tell();
  const complaint = expect.stringContaining("loads the instance again");
  const told = "instance 3: message";
  expect(did).toEqual(["reload", complaint, "reload", told, told, told]);
});

test("it is loaded again once only, as the user may have disabled that agent", async () => {
  const { did, reload, tell } = open("/w3", HALF, HALF, HALF);
  await reload();
  await tell();
  await tell();
  expect(did.filter((what) => what === "reload")).toHaveLength(2);
  expect(did.at(-1)).toBe("instance 3: message");
});

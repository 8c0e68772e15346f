import { DEFAULT_MACHINE } from "../../../src/sandboxes/modal/create-params.ts";
import { sh } from "../../contract/sandbox-shell.ts";
import { LARGE, type LiveCheck, SMALL, seconds, uniqueName } from "../live-check.ts";

const LIFETIME_S = 300;
const LOOK_AFTER_S = 15;
/** Has a CMD, `python3`, which ends at once without a terminal. */
const WITH_CMD = "python:3.12-slim";
const KILL_PYTHON = `for comm in /proc/[0-9]*/comm; do
  case $(cat "$comm" 2>/dev/null) in python*) kill -9 "$(basename "$(dirname "$comm")")";; esac
done`;

export const mainProcess: LiveCheck = {
  name: "main process",
  assumes: "a sandbox lives on beside an image with a CMD, and when a job kills all processes of that name",
  usedBy: ["src/sandboxes/modal/create-params.ts", "src/sandboxes/modal/image-recipe.ts"],
  plan: [
    { size: LARGE, count: 1, lifetimeS: LIFETIME_S },
    { size: SMALL, count: 1, lifetimeS: LIFETIME_S },
  ],
  async run(live) {
    const startedAt = live.now();
    live.take(LARGE, LIFETIME_S);
    const [ours, bare] = await Promise.all([
      live.provider.create({
        name: uniqueName("main"), tags: { suite: "live" }, snapshotID: null, workdir: "/workspace", env: {}, network: "open",
        memoryMiB: SMALL.memoryMiB,
        machine: { ...DEFAULT_MACHINE, image: WITH_CMD, cpu: SMALL.cpu, lifetimeMs: LIFETIME_S * 1000 },
      }, live.signal), // biome-ignore format: a table
      live.create(SMALL, LIFETIME_S, live.client.images.fromRegistry(WITH_CMD), { command: [] }),
    ]);
    const upMs = live.now() - startedAt;
    const main = (await sh(ours, "tr '\\0' ' ' < /proc/1/cmdline")).stdout.trim();
    await sh(ours, KILL_PYTHON);
    await live.wait(LOOK_AFTER_S);
    const lives = (await sh(ours, "echo lives")).stdout === "lives\n";
    const bareCode = await bare.poll();
    await Promise.all([ours.terminate(), bare.terminate()]);
    return {
      verdict: lives ? "as assumed" : "different",
      found: `ours ${lives ? "lives" : "has ended"} ${LOOK_AFTER_S} s after every python was killed, process 1 is "${main}"; a sandbox without a command ${bareCode === null ? "lives too" : `has ended with ${bareCode}`}; both were up after ${seconds(upMs)}`,
    };
  },
};

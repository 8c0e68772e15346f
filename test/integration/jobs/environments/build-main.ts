import { join } from "node:path";
import type { SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { localProvider } from "../../../contract/local-support.ts";
import { modalProvider } from "../../../contract/modal-support.ts";
import { createWorld, openProcess } from "./environment-world.ts";

/* An OpenCode process that builds an environment and is killed: while a command runs (by the test), or at the snapshot. */

const [folder = "", name = "", killAt = "", environment = "{}"] = process.argv.slice(2);
const world = createWorld(folder);

const die = () => {
  process.kill(process.pid, "SIGKILL");
  return new Promise<never>(() => {});
};

const real: SandboxProvider = name === "local" ? localProvider(join(world.stateDir, "local")) : modalProvider();
const snapshots = real.snapshots && {
  ...real.snapshots,
  async take(...args: Parameters<NonNullable<SandboxProvider["snapshots"]>["take"]>) {
    const taking = real.snapshots?.take(...args);
    if (killAt === "snapshot") return die();
    await taking;
    return die();
  },
};
const provider = new Proxy(real, {
  get(target, key) {
    if (key === "snapshots") return snapshots;
    const value = Reflect.get(target, key, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
});
const { run } = await openProcess(world, { environment: JSON.parse(environment), provider });
await run("true");

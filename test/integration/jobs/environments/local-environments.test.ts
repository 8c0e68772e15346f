import { test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { localProvider, whyNoIsolation } from "../../../contract/local-support.ts";
import type { World } from "./environment-world.ts";
import { environmentsContract } from "./environments.contract.ts";
import { killedBuilds } from "./killed-builds.ts";

const why = await whyNoIsolation();

if (why !== null) test.skip(`environments of local sandboxes were not tested: ${why}`, () => {});
else {
  const open = ({ stateDir }: World) => localProvider(join(stateDir, "local"));
  environmentsContract({ name: "local sandboxes", open });
  const snapshots = ({ stateDir }: World) => readdirSync(join(stateDir, "local", "snapshots"));
  killedBuilds({ name: "local", open, snapshots }, ["command", "snapshot", "record"]);
}

import { test } from "bun:test";
import { join } from "node:path";
import { localProvider, whyNoIsolation } from "../../../contract/local-support.ts";
import { environmentsContract } from "./environments.contract.ts";

const why = await whyNoIsolation();

if (why !== null) test.skip(`environments of local sandboxes were not tested: ${why}`, () => {});
else environmentsContract({ name: "local sandboxes", open: ({ stateDir }) => localProvider(join(stateDir, "local")) });

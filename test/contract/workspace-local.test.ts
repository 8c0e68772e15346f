import { test } from "bun:test";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { workspaceContract } from "./workspace.contract.ts";

if (bubblewrap) workspaceContract({ name: "local", open: (rootDir) => localProvider(rootDir), spec: localSpec });
else test.skip("projects were not brought to local sandboxes: there is no bubblewrap", () => {});

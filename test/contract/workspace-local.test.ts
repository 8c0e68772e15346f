import { test } from "bun:test";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { workspaceContract } from "./workspace.contract.ts";
import { elsewhereContract } from "./workspace-elsewhere.contract.ts";

const place = { name: "local", open: (rootDir: string) => localProvider(rootDir), spec: localSpec };

if (bubblewrap) {
  workspaceContract(place);
  elsewhereContract(place);
} else test.skip("projects were not brought to local sandboxes: there is no bubblewrap", () => {});

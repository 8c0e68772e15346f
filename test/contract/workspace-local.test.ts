import { test } from "bun:test";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { workspaceContract } from "./workspace.contract.ts";
import { workspaceAttacks } from "./workspace-attacks.contract.ts";
import { elsewhereContract } from "./workspace-elsewhere.contract.ts";
import { filesAttacks } from "./workspace-files-attacks.contract.ts";

const place = { name: "local", open: (rootDir: string) => localProvider(rootDir), spec: localSpec };

if (bubblewrap) {
  workspaceContract(place);
  workspaceAttacks(place);
  filesAttacks(place);
  elsewhereContract(place);
} else test.skip("projects were not brought to local sandboxes: there is no bubblewrap", () => {});

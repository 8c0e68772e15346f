import { test } from "bun:test";
import { bubblewrap } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { workspaceAttacks } from "./workspace-attacks.contract.ts";
import { filesAttacks } from "./workspace-files-attacks.contract.ts";

const place = { name: "local", open: (rootDir: string) => localProvider(rootDir), spec: localSpec };

if (bubblewrap) {
  workspaceAttacks(place);
  filesAttacks(place);
} else test.skip("projects in local sandboxes were not attacked: there is no bubblewrap", () => {});

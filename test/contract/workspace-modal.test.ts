import { expect } from "bun:test";
import { canIsolate } from "../support/modal-server/machine.ts";
import { modalTest } from "../support/modal-test.ts";
import { localSpec } from "./local-support.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { workspaceContract } from "./workspace.contract.ts";
import { workspaceAttacks } from "./workspace-attacks.contract.ts";
import { elsewhereContract } from "./workspace-elsewhere.contract.ts";
import { filesAttacks } from "./workspace-files-attacks.contract.ts";

const modal = useModalServer();
const place = { name: "Modal", open: () => modalProvider(), spec: localSpec };

if (canIsolate()) {
  workspaceContract(place);
  workspaceAttacks(place);
  filesAttacks(place);
  elsewhereContract(place);
}

modalTest("when it was run, no sandbox is left", async () => {
  expect(await modal().sandboxes({ live: true })).toEqual([]);
});

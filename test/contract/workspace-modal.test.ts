import { expect, test } from "bun:test";
import { localSpec } from "./local-support.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { workspaceContract } from "./workspace.contract.ts";
import { workspaceAttacks } from "./workspace-attacks.contract.ts";
import { filesAttacks } from "./workspace-files-attacks.contract.ts";

const modal = useModalServer();
const place = { name: "Modal", open: () => modalProvider(), spec: localSpec };

workspaceContract(place);
workspaceAttacks(place);
filesAttacks(place);

test("when it was run, no sandbox is left", async () => {
  expect(await modal().sandboxes({ live: true })).toEqual([]);
});

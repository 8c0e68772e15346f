import { expect, test } from "bun:test";
import { localSpec } from "./local-support.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { workspaceContract } from "./workspace.contract.ts";

const modal = useModalServer();

workspaceContract({ name: "Modal", open: () => modalProvider(), spec: localSpec });

test("when it was run, no sandbox is left", async () => {
  expect(await modal().sandboxes({ live: true })).toEqual([]);
});

import { test } from "bun:test";
import { modalProvider, useModalServer } from "../../../contract/modal-support.ts";
import { canIsolate } from "../../../support/modal-server/machine.ts";
import { environmentsContract } from "./environments.contract.ts";
import { killedBuilds } from "./killed-builds.ts";

if (!canIsolate())
  test.skip("environments of Modal's sandboxes were not tested: this machine cannot play them", () => {});
else {
  useModalServer();
  environmentsContract({ name: "Modal's sandboxes", open: () => modalProvider() });
  killedBuilds({ name: "modal", open: () => modalProvider(), snapshots: () => null }, ["command"]);
}

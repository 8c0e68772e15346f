import { expect, test } from "bun:test";
import { inWorld } from "../jobs/runtime-world.ts";
import { openTools } from "./tool-host.ts";

test(
  "agents_status names the paths lent to local sandboxes",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const paths = [{ path: "/home/ada/bin/run", why: "program on PATH" }];
    world.machine.lent = paths;
    expect((await call("agents_status", {})).metadata).toMatchObject({ lent: paths });
    const { output } = await call("agents_status", {});
    expect(output).toContain("\nLent to local sandboxes, read-only: /home/ada/bin/run.");
  }),
);

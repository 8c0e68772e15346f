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

test(
  "a job names the proxy that its sandbox lacks, never its address, and its sandbox has the user's time zone",
  inWorld(
    async (world) => {
      const { call } = openTools(world);
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      const { output, metadata } = await call("agents_status", {});
      expect(output).toContain("through a proxy (HTTPS_PROXY), which is not set in the sandbox");
      expect(JSON.stringify([output, metadata])).not.toMatch(/hunter2|corp\.example/);
      const [spec] = world.machine.sandboxes();
      expect(spec?.spec.env).toEqual({ TZ: "Europe/Berlin" });
    },
    {},
    { hostEnv: { HTTPS_PROXY: "http://ada:hunter2@corp.example:3128", TZ: "Europe/Berlin" } },
  ),
);

import { expect, test } from "bun:test";
import { gate, inWorld } from "../jobs/runtime-world.ts";
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

test(
  "agents_status shows jobs and slots of one moment, also where jobs end while it reads what the session was told",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [told = "", other = ""] = await world.start("say 1", "work 5000 2");
    await world.reaches(told, "completed");
    await call("agents_wait", { jobs: [told] }); // told in a call whose answer the session may not have
    await world.reaches(other, "running");
    const reading = gate();
    world.orchestrators.onCall = (name) => (name === "view" ? reading.passed : undefined);
    const asked = call("agents_status", {});
    await world.reaches(other, "completed");
    reading.open();
    const { output, metadata } = await asked;
    expect(metadata).toMatchObject({
      jobs: [
        { id: told, state: "completed" },
        { id: other, state: "completed" },
      ],
      pool: { running: 0 },
    });
    expect(output).toContain("2 completed:");
    expect(output).toContain("Pool: 0 of 8 slots in use");
  }),
);

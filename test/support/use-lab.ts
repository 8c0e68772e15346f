import { afterAll, beforeAll } from "bun:test";
import { type LabServer, startLab } from "./lab.ts";

/** One lab for all tests of a file; usable inside them, not before. */
export function useLab(...settings: Parameters<typeof startLab>): Readonly<LabServer> {
  let started: LabServer | null = null;
  const lab = (): LabServer => {
    if (!started) throw new Error("the lab has not started");
    return started;
  };
  beforeAll(async () => {
    started = await startLab(...settings);
  }, 240_000);
  afterAll(async () => {
    await started?.stop();
  }, 240_000);
  return {
    get model() {
      return lab().model;
    },
    get home() {
      return lab().home;
    },
    get server() {
      return lab().server;
    },
    stop: () => lab().stop(),
  };
}

import { afterAll, beforeAll } from "bun:test";
import { type LabServer, startLab, startLabIn } from "./test-host.ts";

/** One lab for all tests of a file; usable inside them, not before. */
export const useLab = (...settings: Parameters<typeof startLab>): Readonly<LabServer> =>
  lasting(() => startLab(...settings));

/** The same for the tests of a block: a project in the process of another lab. */
export const useLabIn = (...settings: Parameters<typeof startLabIn>): Readonly<LabServer> =>
  lasting(() => startLabIn(...settings));

function lasting(start: () => Promise<LabServer>): Readonly<LabServer> {
  let started: LabServer | null = null;
  const lab = (): LabServer => {
    if (!started) throw new Error("the lab has not started");
    return started;
  };
  beforeAll(async () => {
    started = await start();
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

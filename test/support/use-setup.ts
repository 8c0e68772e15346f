import { afterAll, beforeAll } from "bun:test";
import { startSetup, startSetupIn, type TestSetup } from "./test-setup.ts";

/** One lab for all tests of a file; usable inside them, not before. */
export const useSetup = (...settings: Parameters<typeof startSetup>): Readonly<TestSetup> =>
  lasting(() => startSetup(...settings));

/** The same for the tests of a block: a project in the process of another lab. */
export const useSetupIn = (...settings: Parameters<typeof startSetupIn>): Readonly<TestSetup> =>
  lasting(() => startSetupIn(...settings));

function lasting(start: () => Promise<TestSetup>): Readonly<TestSetup> {
  let started: TestSetup | null = null;
  const setup = (): TestSetup => {
    if (!started) throw new Error("the lab has not started");
    return started;
  };
  beforeAll(async () => {
    started = await start();
  });
  afterAll(async () => {
    await started?.stop();
  });
  return {
    get model() {
      return setup().model;
    },
    get home() {
      return setup().home;
    },
    get server() {
      return setup().server;
    },
    stop: () => setup().stop(),
  };
}

import { afterAll, beforeAll } from "bun:test";
import { startProject, startSetup, type TestSetup } from "./test-setup.ts";

/** An OpenCode of its own for the tests of a file; usable inside them, not before. */
export const useSetup = (...settings: Parameters<typeof startSetup>): Readonly<TestSetup> =>
  lasting(() => startSetup(...settings));

/** A project for the tests of a file or a block, in the OpenCode that files share. */
export const useProject = (...settings: Parameters<typeof startProject>): Readonly<TestSetup> =>
  lasting(() => startProject(...settings));

function lasting(start: () => Promise<TestSetup>): Readonly<TestSetup> {
  let started: TestSetup | null = null;
  const setup = (): TestSetup => {
    if (!started) throw new Error("the setup has not started: it is usable inside tests only");
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

import { test } from "bun:test";
import { canIsolate } from "./modal-server/machine.ts";

/** A test with sandboxes of the Modal server, which plays them in bubblewrap: skipped where there is none. */
export const modalTest = test.skipIf(!canIsolate());

import { test } from "bun:test";
import { hasWalls } from "./modal-server/machine.ts";

/** A test with sandboxes of the Modal server, which plays them in bubblewrap: skipped where there is none. */
export const modalTest = test.skipIf(!hasWalls());

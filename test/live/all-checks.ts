import { bigTree } from "./checks/big-tree.ts";
import { deletedParent } from "./checks/deleted-parent.ts";
import { domains } from "./checks/domains.ts";
import { expiry } from "./checks/expiry.ts";
import { mainProcess } from "./checks/main-process.ts";
import { preemption } from "./checks/preemption.ts";
import { queued } from "./checks/queued.ts";
import { rates } from "./checks/rates.ts";
import { volumes } from "./checks/volumes.ts";
import type { LiveCheck } from "./live-check.ts";

/** In the order in which they run: what most depends on comes first. */
export const ALL_CHECKS: readonly LiveCheck[] = [
  mainProcess,
  bigTree,
  deletedParent,
  expiry,
  queued,
  preemption,
  rates,
  volumes,
  domains,
];

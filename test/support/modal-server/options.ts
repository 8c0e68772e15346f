import type { Behaviour } from "./behaviour.ts";

export interface ModalServerOptions extends Partial<Behaviour> {
  /** The behaviour to start from, which the fields of `Behaviour` change one by one. Default: all at once, without limits. */
  readonly profile?: "realistic";
  /** Accepted credentials. */
  readonly tokenId?: string;
  readonly tokenSecret?: string;
  /** Secrets by name, each with its variables. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Apps that exist from the start. */
  readonly apps?: readonly string[];
  /** Environments that exist; default: every one. */
  readonly environments?: readonly string[];
  /** Volumes that exist from the start: their versions by name. */
  readonly volumes?: Readonly<Record<string, 1 | 2>>;
  /** Buckets that exist; default: every one. In a sandbox one that does not exist cannot be listed. */
  readonly buckets?: readonly string[];
  readonly proxies?: readonly string[];
  /** Tags that cannot simply be pulled; every other tag can. */
  readonly pulls?: Readonly<Record<string, Pull>>;
  /** Regions that exist; default: every one. */
  readonly regions?: readonly string[];
  /** Limit on running sandboxes; more are refused with RESOURCE_EXHAUSTED. Default: no limit. */
  readonly workspaceLimit?: number;
  /** Number of GPUs by type; a sandbox that needs more stays unscheduled. Types left out are unlimited. */
  readonly gpus?: Readonly<Record<string, number>>;
  /** Delay before a V1 sandbox is scheduled, milliseconds. Default 0. */
  readonly schedulingMs?: number;
  /** Real milliseconds per second of lifetimes, idle times and expiry. Default 1000. */
  readonly secondMs?: number;
  /** Prices that the account is told, by Modal's keys, e.g. `gpu_hour_cost_h100`. Default: the call is unknown. */
  readonly billingRates?: Readonly<Record<string, string>>;
  /** What every sandbox uses; its meter counts the larger of this and its request. Default: the call is unknown. */
  readonly usage?: { readonly cores: number; readonly memoryGiB: number };
  /** Sandboxes per page of a listing. Default 100. */
  readonly pageSize?: number;
  /** Largest message of an output stream, bytes. Default 256 KiB. */
  readonly outputChunkBytes?: number;
  /** Limit on each output stream of a command, bytes. Default 2 GiB. */
  readonly maxOutputBytes?: number;
  /** Validity of a router token, seconds. Default an hour. */
  readonly routerTokenSecs?: number;
  /** Whether snapshots are refused until a command has run in the sandbox, as on the real service. Default true. */
  readonly snapshotNeedsExec?: boolean;
  /**
   * Mounts each sandbox as an overlay over its image instead of copying it, which is as quick as the real service for images
   * of any size. Only for root on Linux, in the server's own process (`canOverlay`); a sandbox's files are not visible from
   * outside then.
   */
  readonly overlay?: boolean;
  /** Folder for the server's files. Default: a new temporary folder. */
  readonly folder?: string;
}

/** A tag that does not exist, or that needs a secret: for which kind of registry, and with which keys. */
export type Pull =
  | { readonly missing: true }
  | { readonly auth: "aws" | "gcp" | "static"; readonly keys: readonly string[] };

/** Types of GPU, and how many of each one sandbox may have. */
export const GPUS: Readonly<Record<string, number>> = {
  T4: 8, L4: 8, A10: 4, A10G: 4, L40S: 8, A100: 8, "A100-40GB": 8, "A100-80GB": 8, "RTX-PRO-6000": 8,
  H100: 8, "H100!": 8, H200: 8, B200: 8, "B200+": 8,
}; // biome-ignore format: a table

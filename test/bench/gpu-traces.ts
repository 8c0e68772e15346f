/* How agents were seen to alternate between thinking and computing on a GPU. Durations only, taken from records that others have published. */

export interface GpuTrace {
  readonly name: string;
  readonly source: string;
  /** Of each command in turn: seconds since the one before had ended, in which the agent thought, and seconds that it ran. */
  readonly steps: readonly (readonly [thinkSeconds: number, computeSeconds: number])[];
}

/**
 * Steps 8 to 40 of a search for a better training script: the time at which each step ended, and the seconds that its
 * training ran by its own clock. Step 21 crashed without them and is left out, with the agent's time after it.
 */
const SEARCH: GpuTrace = {
  name: "trains for seven minutes, thinks for 80 s",
  source: "github.com/davdcharizard/autoresearch-cifar10 (.runs, 11 June 2026)",
  steps: [
    [76, 230.2],
    [72.1, 413],
    [69.4, 367.3],
    [73.2, 397],
    [79.6, 427.7],
    [82.5, 425.1],
    [93.3, 423.2],
    [87.3, 424.2],
    [82.5, 424.3],
    [80.9, 423.7],
    [85.7, 431.4],
    [79, 428.7],
    [76.8, 407.3],
    [76.3, 454],
    [86.6, 488.6],
    [92.3, 486.6],
    [89.4, 424.6],
    [86.7, 425.5],
    [77, 423.9],
    [78.2, 422.8],
    [77.8, 420.3],
    [86, 422.2],
    [82.1, 420.7],
    [83.8, 411.5],
    [85.7, 407.2],
    [83.9, 408.8],
    [84.4, 406.1],
    [76.3, 406.4],
    [82.3, 416.9],
    [84.3, 415],
    [83, 408.2],
    [89.4, 396],
  ],
};

/**
 * A session of an agent with two GPUs that makes a training program run: every call of its shell that starts, awaits or asks
 * a program on a GPU. Calls that only read and edit files are part of the time in which it thinks.
 */
const DEBUGGING: GpuTrace = {
  name: "makes a program run: seconds to five minutes, thinks for 5 to 20 s",
  source: "github.com/rycerzes/trl (session.jsonl, 27 May 2026)",
  steps: [
    [0, 19.6],
    [122.4, 175.1],
    [40.8, 180.4],
    [10.3, 0],
    [5.5, 120.5],
    [11.7, 0.1],
    [7.8, 0],
    [11.5, 0],
    [12.6, 0.7],
    [11, 2.1],
    [5.1, 81.7],
    [5.1, 1.7],
    [18.3, 300],
    [11.7, 180],
    [7.7, 0],
    [4.2, 30.1],
    [24, 5.2],
    [5.8, 60],
    [6, 90],
    [86.6, 0.1],
    [6, 0],
    [20.1, 3.1],
    [5.4, 68.1],
    [5.9, 0.1],
    [5, 45.1],
    [5.5, 60.1],
    [5.6, 30],
  ],
};

export const GPU_TRACES: readonly GpuTrace[] = [SEARCH, DEBUGGING];

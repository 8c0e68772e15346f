/** Samples of one measurement in milliseconds, unless the name says otherwise. */
export interface Measurement {
  readonly name: string;
  readonly samples: readonly number[];
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Prints our median and the baseline's with their ranges, and the ratio of the two. */
export function report(title: string, ours: Measurement, baseline: Measurement): void {
  const line = ({ name, samples }: Measurement) =>
    `  ${name.padEnd(44)} ${median(samples).toFixed(1).padStart(9)}   (${Math.min(...samples).toFixed(1)} to ${Math.max(...samples).toFixed(1)}, n=${samples.length})`;
  console.log(
    `${title}\n${line(ours)}\n${line(baseline)}\n  ratio ${(median(ours.samples) / median(baseline.samples)).toFixed(2)}\n`,
  );
}

/** Measures both in turn, so that a change in the machine's speed affects both alike. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  baseline: () => Promise<number>,
): Promise<[number[], number[]]> {
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    samples[0].push(await ours());
    samples[1].push(await baseline());
  }
  return samples;
}

/** Milliseconds that the work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Milliseconds of this process's CPU time that the work takes: what else the machine does counts little. */
export async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const from = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

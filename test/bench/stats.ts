/** Figures of one measurement, milliseconds unless the name says otherwise. */
export interface Figures {
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

/** Prints ours beside what it is measured against: medians with their spread, and the ratio of the medians. */
export function report(title: string, ours: Figures, other: Figures): void {
  const line = ({ name, samples }: Figures) =>
    `  ${name.padEnd(44)} ${median(samples).toFixed(1).padStart(9)}   (${Math.min(...samples).toFixed(1)} to ${Math.max(...samples).toFixed(1)}, n=${samples.length})`;
  console.log(
    `${title}\n${line(ours)}\n${line(other)}\n  ratio ${(median(ours.samples) / median(other.samples)).toFixed(2)}\n`,
  );
}

/** Runs both in turn, so that a drift of the machine's speed hits both alike. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  other: () => Promise<number>,
): Promise<[number[], number[]]> {
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    samples[0].push(await ours());
    samples[1].push(await other());
  }
  return samples;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** When a job's command ran, epoch ms, by its own clock. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export interface SlotUse {
  /** Share of the slots' time, from the first command to the start of the last one, in which a command ran. */
  readonly busy: number;
  /** From the end of a command to the next one on the slot that it left, in ms; sorted. */
  readonly turnovers: readonly number[];
  /** Commands that ran at once at most. */
  readonly most: number;
}

/**
 * What became of the slots while more commands waited than there were slots for. Slots have no names: the one that is left
 * first is taken first.
 * @param outages times in which nothing could run, such as while the host was dead; they do not count
 */
export function slotUse(commands: readonly Interval[], slots: number, outages: readonly Interval[] = []): SlotUse {
  const starts = commands.map(({ from }) => from).sort((a, b) => a - b);
  const ends = commands.map(({ to }) => to).sort((a, b) => a - b);
  const window = { from: starts[0] ?? 0, to: starts.at(-1) ?? 0 };
  const ran = commands.reduce(
    (sum, command) => sum + overlap(command, window) - withinAll(command, outages, window),
    0,
  );
  const open = window.to - window.from - outages.reduce((sum, outage) => sum + overlap(outage, window), 0);
  const turnovers = starts.slice(slots).map((start, at) => start - (ends[at] ?? start));
  const most = Math.max(0, ...starts.map((start, at) => at + 1 - ends.filter((end) => end <= start).length));
  return { busy: ran / (open * slots), turnovers: turnovers.sort((a, b) => a - b), most };
}

const overlap = (one: Interval, other: Interval): number =>
  Math.max(0, Math.min(one.to, other.to) - Math.max(one.from, other.from));

const withinAll = (one: Interval, outages: readonly Interval[], window: Interval): number =>
  outages.reduce(
    (sum, outage) =>
      sum + overlap(one, { from: Math.max(outage.from, window.from), to: Math.min(outage.to, window.to) }),
    0,
  );

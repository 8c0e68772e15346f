/** Units of large numbers, the largest first. */
const UNITS: readonly (readonly [size: number, letter: string])[] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];
/** Numbers up to this are written out. */
const WRITTEN_OUT = 10_000;
/** Decimals with which a unit still makes a number shorter. */
const MOST_DECIMALS = 2;

/** Ticks of one axis as text: all in the same unit, as short as tells each from the next. */
export function tickLabels(ticks: readonly number[]): string[] {
  const largest = Math.max(...ticks.map(Math.abs));
  const step = ticks.length > 1 ? Math.abs((ticks[1] as number) - (ticks[0] as number)) : lastDigitOf(largest);
  const [size, unit] = unitOf(largest, step);
  const decimals = Math.min(MOST_OF_A_DOUBLE, decimalsOf(step / size));
  return ticks.map((tick) => (tick === 0 ? "0" : `${(tick / size).toFixed(decimals).replace("-", "−")}${unit}`));
}

const MOST_OF_A_DOUBLE = 20;
/** Digits of a tick that stands alone. */
const ALONE = 6;

/** 0.001 of 2.345: a tick without a next one is told from its neighbours by all of its digits. */
function lastDigitOf(tick: number): number {
  const [digits = "", power = ""] = Number(tick.toPrecision(ALONE)).toExponential().split("e");
  return tick === 0 ? 0 : 10 ** (Number(power) - (digits.split(".")[1] ?? "").length);
}

function unitOf(largest: number, step: number): readonly [size: number, unit: string] {
  const power = Math.floor(Math.log10(largest));
  if (largest > 0 && (power < -3 || power >= 15)) return [10 ** power, `e${power}`];
  const found = largest < WRITTEN_OUT ? undefined : UNITS.find(([size]) => largest >= size);
  return found && decimalsOf(step / found[0]) <= MOST_DECIMALS ? found : [1, ""];
}

const decimalsOf = (step: number): number => (step > 0 ? Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)) : 0);

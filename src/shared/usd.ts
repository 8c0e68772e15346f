/** Digits that an amount below ten cents shows. */
const DIGITS = 2;

/** "$12.30", "$0.042", "$0.00004": the one way in which amounts are written. None but nothing is "$0". */
export function formatUsd(amount: number): string {
  if (amount === 0) return "$0";
  const magnitude = Math.floor(Math.log10(Math.abs(amount)));
  const decimals = Math.min(100, Math.max(2, DIGITS - 1 - magnitude));
  return `$${amount.toFixed(decimals).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

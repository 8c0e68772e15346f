// Counts in the artifact are levels on a logarithmic scale: 1 to 4 exactly, then steps of about 25 %.
const BASE = 1.25;

const VALUES = [0, 1, 2, 3, 4];
while (VALUES.at(-1) < 2 ** 24) VALUES.push(Math.max(VALUES.at(-1) + 1, Math.round(VALUES.at(-1) * BASE)));

/** The level whose value is nearest to `count`. */
export function toLevel(count) {
  let level = 0;
  while (VALUES[level + 1] <= count) level++;
  return VALUES[level + 1] - count < count - VALUES[level] ? level + 1 : level;
}

export function fromLevel(level) {
  return VALUES[level];
}

// Points on two spirals that wind around each other, with noise.
export function spirals(count, seed) {
  const next = random(seed);
  return Array.from({ length: count }, (_, n) => {
    const label = n % 2;
    const along = 0.25 + 2.6 * Math.sqrt(next());
    const angle = along * 2.2 + label * Math.PI;
    const noise = () => (next() - 0.5) * 1.5;
    return { at: [along * Math.cos(angle) + noise(), along * Math.sin(angle) + noise()], label };
  });
}

/** Numbers from 0 to 1, which the seed decides. */
export function random(seed) {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

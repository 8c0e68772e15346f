/** Characters before METRIC that are looked at. */
const MOST = 300;
const METRIC = /(?<![\p{L}_])METRIC[ \t]/u;
/** The end of tqdm's bar, as `[00:01<00:03, 4.2it/s, loss=0.5]`; a list among its values has brackets too. */
const TQDM = /\[(?:\d+:)?\d\d:\d\d[<,][^\]/]*\/.*\]\s*$/;
/** The beginning of Keras's, as `10/10 [====>...]` and `10/10 ━━━━`. */
const KERAS = /^\s*\d+\/(?:\d+|Unknown) (?:\[[=>.]+\]|━+)/;

/**
 * A line as it was at one time, with what was printed behind a progress bar as a state of its own: tqdm draws its bar on
 * standard error and leaves the cursor behind it, so that a print within the loop goes on there, and so do Keras's callbacks.
 */
export function apartFromBar(state: string): string[] {
  const at = state.search(METRIC);
  if (at <= 0) return [state];
  const isBar = TQDM.test(state.slice(Math.max(0, at - MOST), at)) || KERAS.test(state.slice(0, Math.min(MOST, at)));
  return isBar ? [state.slice(0, at), state.slice(at)] : [state];
}

import { createComputed, createSignal, onCleanup } from "solid-js";
import type { Clock } from "../shared/clock.ts";

/** Live: the time, epoch ms. It ticks once a second while `isTicking`, and stands still otherwise. */
export function createNow(clock: Clock, isTicking: () => boolean): () => number {
  const [now, setNow] = createSignal(clock.now());
  createComputed(() => {
    if (!isTicking()) return;
    let cancel = () => {};
    const tick = () => {
      setNow(clock.now());
      cancel = clock.after(1_000, tick);
    };
    tick();
    onCleanup(() => cancel());
  });
  return now;
}

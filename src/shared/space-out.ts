import type { Clock } from "./clock.ts";

/**
 * A function that does `work` at once when it is called and then, while it is called again meanwhile, each time `pauseMs`
 * after the end of the last: work always begins after the last call. What `work` rejects with is its own matter.
 */
export function spaceOut(clock: Clock, pauseMs: number, work: () => Promise<void>): () => void {
  let isBusy = false;
  let isCalled = false;
  const begin = () => {
    isBusy = true;
    isCalled = false;
    const done = () =>
      clock.after(pauseMs, () => {
        isBusy = false;
        if (isCalled) begin();
      });
    work().then(done, done);
  };
  return () => {
    isCalled = true;
    if (!isBusy) begin();
  };
}

import { signal } from "@preact/signals";

const look = () => document.visibilityState === "visible";

/** Whether the user sees the page: false for a tab behind others. */
export const isInSight = signal(look());
document.addEventListener("visibilitychange", () => {
  isInSight.value = look();
});

export async function untilInSight(): Promise<void> {
  while (!isInSight.peek())
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

import { signal } from "@preact/signals";

/** The job whose details are shown. */
export const selected = signal<string | null>(null);

let opener: Element | null = null;

export function showJob(id: string): void {
  opener = document.activeElement;
  selected.value = id;
}

/** Whoever works by keys is led back to where he was. */
export function hideJob(): void {
  selected.value = null;
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
}

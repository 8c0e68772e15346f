import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type RowWindow, rowsInView } from "../layout/window.ts";

/**
 * A list of rows of one height, of which only those in sight are drawn.
 * @param children draws the part of the list that is in sight
 */
export function Rows({
  total,
  height,
  label,
  most,
  children,
}: {
  readonly total: number;
  /** Pixels. */
  readonly height: number;
  readonly label: string;
  /** Rows in sight at most. */
  readonly most: number;
  readonly children: (window: RowWindow) => ComponentChildren;
}) {
  const place = useSignal({ scrolled: 0, visible: most * height });
  const box = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    // A shorter list, as after filtering, moves the place by itself.
    if (box.current) measure(box.current);
  }, [total]);
  const measure = ({ scrollTop, clientHeight }: HTMLElement) => {
    const { scrolled, visible } = place.peek();
    if (scrolled !== scrollTop || visible !== clientHeight)
      place.value = { scrolled: scrollTop, visible: clientHeight || most * height };
  };
  const { scrolled, visible } = place.value;
  return (
    <section
      ref={box}
      class="scroll rows"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
      tabIndex={0}
      style={{ maxHeight: `${most * height + 40}px` }}
      onScroll={(event) => measure(event.currentTarget)}
    >
      {children(rowsInView(total, height, scrolled, visible))}
    </section>
  );
}

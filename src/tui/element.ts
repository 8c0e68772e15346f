import { createElement, effect, insert, type JSX, setProp } from "@opentui/solid";
import { createComponent, ErrorBoundary, For, Index, Show } from "solid-js";

/*
 * Elements without a compiler for JSX: plain `tsc` builds what the host loads.
 * Whatever is to change on the screen is given as a function; a value is read once.
 */

export type Element = JSX.Element;

type Live<T> = T | (() => T);

/** Handlers and references are functions themselves, and not called for a value. */
type Props<Tag extends keyof JSX.IntrinsicElements> = {
  [Name in keyof JSX.IntrinsicElements[Tag]]?: Name extends `on${string}` | "ref"
    ? JSX.IntrinsicElements[Tag][Name]
    : Live<JSX.IntrinsicElements[Tag][Name]>;
};

/**
 * An element of the terminal UI. A text never wraps unless it is told to: a row would silently become two.
 * @param children elements, texts (inside of a "text" only), or functions that return them
 */
export function el<Tag extends "box" | "text" | "span" | "scrollbox" | "input" | "textarea" | "code">(
  tag: Tag,
  props: Props<Tag>,
  ...children: Live<Element>[]
): Element {
  const node = createElement(tag);
  const all: Record<string, unknown> = tag === "text" ? { wrapMode: "none", ...props } : props;
  for (const [name, value] of Object.entries(all)) {
    if (value === undefined) continue;
    if (name === "ref") (value as (to: unknown) => void)(node);
    else if (typeof value !== "function" || name.startsWith("on")) setProp(node, name, value);
    else effect((old: unknown) => setProp(node, name, (value as () => unknown)(), old));
  }
  // Without the null, a child takes the place of those before it.
  for (const child of children) insert(node, child, null);
  return node as unknown as Element;
}

/** Children that are there while `when` holds. */
export const show = (when: () => boolean, children: () => Element, otherwise?: () => Element): Element =>
  createComponent<ShowProps>(Show, {
    get when() {
      return when();
    },
    get children() {
      return children();
    },
    get fallback() {
      return otherwise?.();
    },
  });

interface ShowProps {
  readonly when: boolean;
  readonly children: Element;
  readonly fallback: Element;
}

/** A child for each item. An item that stays, by identity, keeps its child. */
export const each = <T>(items: () => readonly T[], child: (item: T, at: () => number) => Element): Element =>
  createComponent(For, {
    get each() {
      return items();
    },
    children: child,
  }) as Element;

/** What `children` shows, or `fallback` once it has thrown: an error that leaves a slot or a route ends OpenCode. */
export const guarded = (children: () => Element, fallback: (error: unknown) => Element): Element =>
  createComponent(ErrorBoundary, {
    fallback,
    get children() {
      return children();
    },
  });

/** A child for each place in a list: it stays when what it shows changes. */
export const eachPlace = <T>(items: () => readonly T[], child: (item: () => T) => Element): Element =>
  createComponent(Index, {
    get each() {
      return items();
    },
    children: child,
  }) as Element;

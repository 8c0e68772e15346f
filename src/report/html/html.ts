import { plainText } from "../../shared/plain-text.ts";

/** Markup of ours. Only `html` makes it, so that text of jobs is never taken for markup. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

export type HtmlValue = string | number | null | undefined | false | Html | readonly HtmlValue[];

/** Markup with values in it: text is cleaned and escaped, in an attribute too, which must stand in double quotes. */
export const html = (parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html =>
  new Html(parts.map((part, index) => part + (index < values.length ? toMarkup(values[index]) : "")).join(""));

function toMarkup(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return "";
  if (value instanceof Html) return value.markup;
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? escapeText(plainText(value)) : value.map(toMarkup).join("");
}

const escapeText = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

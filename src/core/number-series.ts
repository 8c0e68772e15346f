import type { FoundNumber } from "./metric-number.ts";
import { type CountedLines, withLine } from "./misplaced-lines.ts";
import type { MetricValue } from "./run-task.ts";

/** The numbers that follow one text in a program's output: which of them count, and what of the others is remembered. */
export class NumberSeries {
  /** Lines whose number could not be read. */
  unread: CountedLines | null = null;
  /** Of the first number that has one; "" = it has none. */
  unit: string | null = null;
  #groupsDigits = false;

  /**
   * @param line the line from its text on
   * @returns null where it is not certain which number is meant, or where it has another unit than the first one
   */
  read(number: FoundNumber, line: string): MetricValue | null {
    this.#groupsDigits ||= number.groupsDigits === true;
    const value = number.value ?? (this.#groupsDigits ? number.ifGrouped : undefined) ?? null;
    if (value !== null && this.#hasUnitOfOthers(value, number.unit ?? "")) return value;
    this.unread = withLine(this.unread, line);
    return null;
  }

  #hasUnitOfOthers(value: MetricValue, unit: string): boolean {
    if (value === 0 || typeof value === "string") return true; // the same in every unit
    this.unit ??= unit;
    return unit === this.unit;
  }
}

import type { Report } from "./report.ts";

/** The whole report. Characters that are invisible and still have an effect are escapes, which JSON reads as themselves. */
export const toJson = (report: Report): string =>
  JSON.stringify(report, null, 2).replace(INVISIBLE, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
    ).join(""),
  );

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\x7f-\x9f\u2028\u2029\uFFF9-\uFFFB]/gu;

import { expect, test } from "bun:test";
import { formatMean, formatValue } from "../../../src/views/numbers.ts";

test("a whole number is written whole, and no digit before the decimal point is rounded away", () => {
  expect([12345678, 12345649, -0, 9_007_199_254_740_991].map((value) => formatValue(value))).toEqual([
    ...["12345678", "12345649", "0", "9007199254740991"],
  ]);
  expect(formatValue(12345678.25)).toBe("12345678");
  expect([1.23456789, 0.000123456789, 1.5e300, "NaN" as const].map((value) => formatValue(value))).toEqual([
    ...["1.23457", "0.000123457", "1.5e+300", "NaN"],
  ]);
});

test("a number that is close to a whole one does not look like it, as far as its digits are known", () => {
  const close = [0.99999999, 0.99999998, -0.99999998, 1.0000001, 99.9999999, 1 - 2 ** -53, 2 + 2 ** -51, 0.5];
  const shown = ["0.99999999", "0.99999998", "-0.99999998", "1.0000001", "99.9999999", "1", "2", "0.5"];
  expect(close.map((value) => formatValue(value))).toEqual(shown);
});

test("a mean has the digits by which it differs from what it is compared with", () => {
  expect(formatMean({ mean: 0.98765432 })).toBe("0.987654");
  expect(formatMean({ mean: 0.98765432, deltaBest: 3.1e-7 })).toBe("0.98765432");
  expect(formatMean({ mean: 0.98765432, deltaParent: -3.1e-7, deltaBest: 0.2, deviation: 0.0123 })).toBe(
    "0.98765432 ± 0.012",
  );
  expect(formatMean({ mean: 0.98765432, deltaBest: 0, deltaNext: -3.1e-7 })).toBe("0.98765432");
  expect(formatMean({ mean: 1.224365, deviation: 7.1e-8 })).toBe("1.224365 ± 7.1e-8");
  expect(formatMean({ mean: 12345678.25, deltaBest: 29.12 })).toBe("12345678");
  expect(formatMean({ mean: 1 / 3, deltaBest: 1e-17 })).toBe("0.333333333333333");
  expect(formatMean({ mean: "NaN", deltaBest: 1 })).toBe("NaN");
});

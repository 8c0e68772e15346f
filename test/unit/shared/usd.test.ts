import { expect, test } from "bun:test";
import { formatUsd } from "../../../src/shared/usd.ts";

test("amounts have cents, small ones two digits, and none looks like nothing", () => {
  expect([0, 25, 1.005, 12.3, 0.5, 0.996].map(formatUsd)).toEqual([
    "$0",
    "$25.00",
    "$1.00",
    "$12.30",
    "$0.50",
    "$1.00",
  ]);
  expect([0.042, 0.04, 0.0996, 0.004, 0.00423, 0.00004].map(formatUsd)).toEqual([
    ...["$0.042", "$0.04", "$0.10", "$0.004", "$0.0042", "$0.00004"],
  ]);
});

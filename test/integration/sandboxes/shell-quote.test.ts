import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { quote } from "../../../src/sandboxes/shell-quote.ts";

test("a shell is given back what it was given", () => {
  const odd = ["", "a'b", "$(id)", "`id`", "new\nline", "\\", "!x", "~"];
  expect(spawnSync("sh", ["-c", `printf '[%s]' ${odd.map(quote).join(" ")}`], { encoding: "utf8" }).stdout).toBe(
    odd.map((each) => `[${each}]`).join(""),
  );
});

import { expect, test } from "bun:test";
import { describePorts } from "../../../src/views/ports.ts";

test("public ports are told with their addresses", () => {
  const ports = [8080, 22].map((port) => ({ port, url: `https://${port}.example` }));
  expect(describePorts({ ports })).toBe(
    "port 8080 public at https://8080.example, port 22 public at https://22.example",
  );
  expect(describePorts({})).toBe("");
});

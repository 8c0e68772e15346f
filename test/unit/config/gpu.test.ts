import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatGpu, gpusOf, parseGpu } from "../../../src/config/gpu.ts";

describe("a GPU string", () => {
  test.each([
    ["T4", [{ type: "T4", count: 1, exact: false }]],
    ["a100-80gb", [{ type: "A100-80GB", count: 1, exact: false }]],
    ["H100:8", [{ type: "H100", count: 8, exact: false }]],
    ["h100!", [{ type: "H100", count: 1, exact: true }]],
    ["H100!:2", [{ type: "H100", count: 2, exact: true }]],
    ["B200+", [{ type: "B200+", count: 1, exact: false }]],
    ["NVIDIA H100", [{ type: "H100", count: 1, exact: false }]],
    ["A100 80GB", [{ type: "A100-80GB", count: 1, exact: false }]],
    ["nvidia_a100-80g:2", [{ type: "A100-80GB", count: 2, exact: false }]],
    ["Tesla T4", [{ type: "T4", count: 1, exact: false }]],
    ["RTX PRO 6000", [{ type: "RTX-PRO-6000", count: 1, exact: false }]],
    ["H100 x 8", [{ type: "H100", count: 8, exact: false }]],
    ["H100! X8", [{ type: "H100", count: 8, exact: true }]],
    [
      "H100:8,H200:8",
      [
        { type: "H100", count: 8, exact: false },
        { type: "H200", count: 8, exact: false },
      ],
    ],
    ["rtx-pro-6000", [{ type: "RTX-PRO-6000", count: 1, exact: false }]],
    [
      " H100:8 | h200:8 ",
      [
        { type: "H100", count: 8, exact: false },
        { type: "H200", count: 8, exact: false },
      ],
    ],
  ])("%s is understood", (text, preferences) => {
    expect(parseGpu(text)).toEqual({ kind: "ok", preferences });
  });

  test.each([
    ["", "missing"],
    ["H100:8|", "missing"],
    ["banana", "not a known GPU type"],
    ["constructor", "not a known GPU type"],
    ["H100:0", "1 to 8"],
    ["H100:9", "1 to 8"],
    ["A10:8", "1 to 4"],
    ["H100:-1", "optional count"],
    ["H100:2.5", "optional count"],
    ["H100:", "optional count"],
    ["T4!", "only H100"],
  ])("%p is refused, with the reason and an example", (text, reason) => {
    const parsed = parseGpu(text);
    expect(parsed.kind === "invalid" && parsed.message).toContain(reason);
    expect(parsed.kind === "invalid" && parsed.message).toContain('"H100:8"');
  });

  test("never throws, and its canonical form parses to the same request", () => {
    const piece = fc.constantFrom("H100", "t4", "A10", "!", ":", "8", "0", "|", " ", "B200+", "x");
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(text, (given) => {
        const parsed = parseGpu(given);
        if (parsed.kind === "ok") expect(parseGpu(parsed.preferences.map(formatGpu).join("|"))).toEqual(parsed);
        else expect(parsed.message.length).toBeGreaterThan(0);
      }),
    );
  });
});

test("preferences keep their order, and no GPU string means no preferences", () => {
  expect(gpusOf(null)).toEqual([]);
  expect(gpusOf("h100:8|T4").map(formatGpu)).toEqual(["H100:8", "T4"]);
  expect(() => gpusOf("many")).toThrow("unchecked GPU string many");
});

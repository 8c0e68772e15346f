import { describe, expect, test } from "bun:test";
import { gpusOf, gpuTypeNames } from "../../../src/config/gpu.ts";
import { describeOtherDevices, judgeDevices } from "../../../src/core/gpu-devices.ts";

const H100 = "NVIDIA H100 80GB HBM3";
const H200 = "NVIDIA H200";
const judge = (gpu: string, ...devices: string[]) => {
  const [asked] = gpusOf(gpu);
  if (!asked) throw new Error(gpu);
  return judgeDevices(asked, devices);
};

describe("the GPUs that came", () => {
  test("may be better ones, but not where the exact type was asked for", () => {
    expect(judge("H100", H200)).toEqual({ kind: "granted" });
    expect(judge("H100!", H100)).toEqual({ kind: "granted" });
    expect(judge("H100!", H200)).toEqual({ kind: "refused", came: H200 });
    for (const other of [
      "NVIDIA GH200 480GB",
      "NVIDIA A100-SXM4-80GB",
      "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
      "Tesla T4",
    ])
      expect(judge("H100!", other)).toEqual({ kind: "refused", came: other });
  });

  test("must all be of the exact type, and never be fewer than asked for", () => {
    const mixed = [...Array(7).fill(H100), H200];
    expect(judge("H100!:8", ...mixed)).toEqual({ kind: "refused", came: `7 × ${H100}, ${H200}` });
    expect(judge("H100:8", ...mixed)).toEqual({ kind: "granted" });
    expect(judge("H100:8", ...mixed.slice(1))).toEqual({ kind: "refused", came: `6 × ${H100}, ${H200}` });
    expect(judge("H100!:8", ...Array(8).fill(H100))).toEqual({ kind: "granted" });
  });

  test("are not judged where they could not be read", () => {
    expect(judge("H100!:8")).toEqual({ kind: "unknown" });
  });

  test("are named where they are others than asked for, or a slower model of the type", () => {
    expect(describeOtherDevices("H100:2", [H200, H200])).toBe(`asked H100:2, got 2 × ${H200}`);
    expect(describeOtherDevices("H100!", ["NVIDIA H100 NVL"])).toBe("asked H100!, got NVIDIA H100 NVL");
    expect(describeOtherDevices("A100-40GB", ["NVIDIA A100-SXM4-80GB"])).toBe(
      "asked A100-40GB, got NVIDIA A100-SXM4-80GB",
    );
    expect(describeOtherDevices("H100", [H100])).toBeNull();
    expect(describeOtherDevices("H100", [])).toBeNull();
    expect(describeOtherDevices(undefined, [H100])).toBeNull();
  });

  test("are recognised by the driver's name for every type", () => {
    const names: Record<string, string> = {
      T4: "Tesla T4", L4: "NVIDIA L4", A10: "NVIDIA A10", A10G: "NVIDIA A10G", L40S: "NVIDIA L40S", A100: "NVIDIA A100-SXM4-80GB",
      "A100-40GB": "NVIDIA A100-SXM4-40GB", "A100-80GB": "NVIDIA A100-SXM4-80GB",
      "RTX-PRO-6000": "NVIDIA RTX PRO 6000 Blackwell Server Edition", H100, H200, B200: "NVIDIA B200", "B200+": "NVIDIA B300", B300: "NVIDIA B300 SXM6 AC",
    }; // biome-ignore format: a table
    for (const type of gpuTypeNames().split(", "))
      expect([type, describeOtherDevices(type, [names[type] ?? "?"])]).toEqual([type, null]);
  });
});

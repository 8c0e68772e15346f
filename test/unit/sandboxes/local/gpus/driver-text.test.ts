import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseCapability, parseInformation, parseSmi } from "../../../../../src/sandboxes/local/gpus/driver-text.ts";
import { information, uuidOf } from "../../../../support/gpu-machine.ts";

test("the driver's file of a GPU is read, whatever its blanks", () => {
  expect(parseInformation(information({ name: "NVIDIA H100 80GB HBM3", minor: 3, bus: "0000:0A:00.0" }))).toEqual({
    minor: 3,
    name: "NVIDIA H100 80GB HBM3",
    uuid: uuidOf(3),
    bus: "0000:0a:00.0",
    isExcluded: false,
  });
  expect(parseInformation("Model: GeForce GTX 1080 Ti\r\nDevice Minor: 0\r\n")).toMatchObject({
    name: "GeForce GTX 1080 Ti",
    minor: 0,
    uuid: null,
  });
});

test("what a sleeping or excluded GPU does not tell is not invented", () => {
  const asleep =
    "Model: Unknown\nGPU UUID: GPU-????????-????-????-????-????????????\nBus Location: ????\nDevice Minor: x\n";
  expect(parseInformation(asleep)).toEqual({ minor: null, name: null, uuid: null, bus: null, isExcluded: false });
  expect(parseInformation("GPU Excluded: Yes").isExcluded).toBe(true);
  expect(parseInformation("GPU Blacklisted: Yes").isExcluded).toBe(true);
});

test("nvidia-smi's lines are read, and its errors are none", () => {
  const answer =
    "NVIDIA GeForce RTX 4090, GPU-11111111-2222-3333-4444-555555555555, 00000000:01:00.0\n\nTesla T4, [N/A], 00000001:02:00.0\n";
  expect(parseSmi(answer)).toEqual([
    { minor: null, name: "NVIDIA GeForce RTX 4090", uuid: "GPU-11111111-2222-3333-4444-555555555555", bus: "0000:01:00.0", isExcluded: false },
    { minor: null, name: "Tesla T4", uuid: null, bus: "0001:02:00.0", isExcluded: false },
  ]); // biome-ignore format: a table
  const broken =
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\nUnable to determine the device handle for GPU0000:01:00.0: Unknown Error\n";
  expect(parseSmi(broken)).toEqual([]);
});

test("the node of a part of a GPU is named by its file", () => {
  expect(parseCapability("DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n")).toBe(12);
  expect(parseCapability("")).toBeNull();
});

test("no text of a driver makes it fail, or is taken for a device that it does not name", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom("Model:", "Device Minor: -1", "Device Minor: 1e3", "Bus Location: ../../etc", "a,b,c", ",,"),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const text = lines.join("\n");
      const { minor, bus } = parseInformation(text);
      if (minor !== null) expect(text).toContain(String(minor));
      if (bus !== null) expect(bus).toMatch(/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/);
      for (const gpu of parseSmi(text)) expect(gpu.bus ?? gpu.uuid).not.toBeNull();
    }),
  );
});

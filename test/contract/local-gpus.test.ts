import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { createGpuMachine, LIBRARIES } from "../support/gpu-machine.ts";
import { firstGpuAnswer } from "./gpu-use-support.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

/*
 * GPUs of a stand-in machine, whose device nodes are /dev/null (even numbers) and /dev/zero (odd ones). No test here runs on
 * a real GPU: what a job sees and may touch is tested, not that the driver is content with it.
 */

const machine = createGpuMachine([0, 1, 2].map((minor) => ({ minor, bus: `0000:0${minor + 4}:00.0` })));
const rootDir = newRoot();
const provider: SandboxProvider = localProvider(rootDir, { gpus: machine.gpus() });
afterAll(async () => {
  await provider.close();
  expect(await leftOf(rootDir)).toEqual([]);
  machine.remove();
  rmSync(rootDir, { recursive: true, force: true });
});

const H100 = { type: "H100", count: 1, exact: false };
const specWith = (devices: readonly string[], env: Record<string, string> = {}) => {
  const asked = { gpu: devices.length === 0 ? null : { ...H100, count: devices.length }, devices };
  const none = { image: null, imageSecret: null, cpu: null, cpuLimit: null, memoryLimitMiB: null, cloud: null, proxy: null };
  const more = { runtime: null, lifetimeMs: null, idleTimeoutMs: null, secrets: [], volumes: {}, buckets: {}, ports: [], regions: [] };
  return localSpec({ env, machine: { ...none, ...more, ...asked } });
}; // biome-ignore format: the rest of a machine

async function withSandbox(
  devices: readonly string[],
  use: (sandbox: Sandbox) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const sandbox = await provider.create(specWith(devices, { CUDA_VISIBLE_DEVICES: "7", ...env }));
  try {
    await use(sandbox);
  } finally {
    await sandbox.terminate();
  }
}

const said = async (sandbox: Sandbox, command: string): Promise<string> => (await sh(sandbox, command)).stdout.trim();
const NODES = "cd /dev && find . -name '*nvidia*' | sort | tr '\\n' ' '";
/** Everything below /proc that may be written to, apart from the processes' own. */
const WRITABLE =
  'find /proc -maxdepth 4 -regextype posix-extended -regex \'/proc/[0-9]+|/proc/(self|thread-self|net)\' -prune -o -writable -print 2>/dev/null | while read -r path; do [ -c "$path" ] || echo "$path"; done | head -5';

const why = await whyNoIsolation();
if (why !== null) test.skip(`bubblewrap was left out: ${why}`, () => {});

describe.skipIf(why !== null)("a local sandbox with GPUs", () => {
  test("has the nodes of its own GPUs and the driver's, usable, and nothing of others", async () => {
    await withSandbox(["1"], async (sandbox) => {
      expect(sandbox.gpu).toEqual({ granted: H100, devices: ["NVIDIA H100 80GB HBM3"] });
      expect(await said(sandbox, NODES)).toBe("./nvidia-uvm ./nvidia-uvm-tools ./nvidia1 ./nvidiactl");
      expect(await said(sandbox, "head -c 3 /dev/nvidia1 | wc -c; echo x > /dev/nvidiactl && echo written")).toBe("3\nwritten"); // biome-ignore format: one line
      expect(await said(sandbox, "ls /proc/driver /proc/driver/nvidia /proc/driver/nvidia/gpus")).toBe(
        "/proc/driver:\nnvidia\n\n/proc/driver/nvidia:\ngpus\nparams\nversion\n\n/proc/driver/nvidia/gpus:\n0000:05:00.0",
      );
      expect(await said(sandbox, "grep Minor /proc/driver/nvidia/gpus/*/information")).toContain("Device Minor: \t 1");
      expect(await said(sandbox, "ls /sys/bus/pci/devices; cat /sys/bus/pci/devices/*/numa_node; ls /sys/bus/pci/devices/*/")).toBe("0000:05:00.0\n1\nnuma_node"); // biome-ignore format: one line
      expect(await said(sandbox, "cat /sys/module/nvidia/initstate; ls -d /sys/devices/system/*")).toStartWith("live");
      expect(await said(sandbox, `ls ${LIBRARIES}; cat ${LIBRARIES}/libcuda.so.1`)).toBe("libcuda.so.1\nlibcuda.so.550.54.15\nlibcuda"); // biome-ignore format: one line
    });
  });

  test("numbers its GPUs from 0, whatever the environment's variables say", async () => {
    await withSandbox(["1", "2"], async (sandbox) => {
      expect(await said(sandbox, "echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER")).toBe("0,1 0,1 PCI_BUS_ID"); // biome-ignore format: one line
      expect(await said(sandbox, NODES)).toBe("./nvidia-uvm ./nvidia-uvm-tools ./nvidia1 ./nvidia2 ./nvidiactl");
    });
  });

  test("changes neither the driver's files nor the modes of the nodes", async () => {
    await withSandbox(["0"], async (sandbox) => {
      const attempts = [
        `echo x >> ${LIBRARIES}/libcuda.so.1`, `rm ${LIBRARIES}/libcuda.so.1`, `echo x > ${LIBRARIES}/libevil.so`,
        "chmod 600 /dev/nvidia0", "chmod 600 /dev/nvidiactl", "rm /dev/nvidia0", "mknod /dev/nvidia1 c 195 1",
        "echo x > /proc/driver/nvidia/params", "mkdir /proc/driver/nvidia/gpus/x", "echo x > /sys/module/nvidia/initstate",
        "echo 8 > /sys/bus/pci/devices/0000:04:00.0/numa_node", "echo x > /sys/devices/system/cpu/cpu0/online",
      ]; // biome-ignore format: a table
      for (const attempt of attempts)
        expect([attempt, await said(sandbox, `(${attempt}) 2>/dev/null && echo done`)]).toEqual([attempt, ""]);
      expect(statSync(join(machine.root, "dev/nvidiactl")).mode & 0o777).toBe(0o666);
    });
  });

  test("lets programs name their threads, as CUDA does, and change nothing else of the kernel", async () => {
    await withSandbox(["0"], async (sandbox) => {
      expect(await said(sandbox, "echo cuda > /proc/$$/task/$$/comm && cat /proc/$$/comm")).toBe("cuda");
      expect(await said(sandbox, WRITABLE)).toBe("");
      const attempts = ["echo x > /proc/sys/kernel/core_pattern", "echo b > /proc/sysrq-trigger", "chmod 600 /proc/meminfo", "chmod 600 /proc/kmsg", "chmod 600 /proc/sys/kernel/hostname", "cat /proc/kcore | grep ."]; // biome-ignore format: one line
      for (const attempt of attempts)
        expect([attempt, await said(sandbox, `(${attempt}) 2>/dev/null && echo done`)]).toEqual([attempt, ""]);
      expect(await said(sandbox, "wc -l < /proc/uptime; cat /proc/sys/kernel/hostname")).toBe("1\nsandbox");
    });
  });

  test("is apart from a second one on another GPU, and from those without", async () => {
    await withSandbox(["0"], async (first) => {
      await withSandbox(["2"], async (second) => {
        await withSandbox([], async (none) => {
          expect(await said(first, "ls /dev | grep 'nvidia[0-9]'")).toBe("nvidia0");
          expect(await said(second, "ls /dev | grep 'nvidia[0-9]'")).toBe("nvidia2");
          expect(none.gpu).toBeNull();
          expect(
            await said(
              none,
              `ls /dev | grep nvidia; ls /sys/bus /sys/class /sys/devices /sys/module ${LIBRARIES} 2>/dev/null`,
            ),
          ).toBe("");
          expect(await said(none, "(echo x > /proc/$$/comm) 2>/dev/null && echo written")).toBe("");
        });
      });
    });
  });

  test("is given GPUs anew when it is found again, and none when none are named", async () => {
    const former = localProvider(rootDir, { gpus: machine.gpus() });
    const { id } = await former.create(specWith(["0"]));
    await former.close(); // its process has ended
    const again = await provider.attach(id, {}, ["2"]);
    expect(await said(again, "ls /dev | grep 'nvidia[0-9]'")).toBe("nvidia2");
    expect(again.gpu).toEqual({ granted: null, devices: ["NVIDIA H100 80GB HBM3"] });
    await again.terminate();
  });

  test("says how busy its GPUs are, as its own nvidia-smi has it, and nothing where there is none", async () => {
    const path = { PATH: "/tmp:/usr/bin:/bin" };
    await withSandbox(
      ["0", "2"],
      async (sandbox) => {
        expect(await firstGpuAnswer(sandbox)).toMatchObject({ isMissing: true, samples: 0, measuredSeconds: 0 });
        const script =
          '#!/bin/sh\n[ $# = 2 ] && echo "30, 10, 100"; echo "$PARALLEL_AGENTS_RUN" | grep -q . && echo "90, 5, 100"\n';
        await sandbox.writeFile("/tmp/nvidia-smi", Buffer.from(script), { executable: true });
        const latest = { utilization: 60, gpus: 2, memoryUsedMiB: 15, memoryTotalMiB: 200 };
        expect(await firstGpuAnswer(sandbox)).toMatchObject({ isMissing: false, samples: 1, latest });
        await sandbox.writeFile("/tmp/nvidia-smi", Buffer.from("#!/bin/sh\nexec yes 30, 1, 2\n"), { executable: true });
        expect(await firstGpuAnswer(sandbox)).toMatchObject({ samples: 0, failures: 1, latest: null });
        expect(await said(sandbox, "pgrep -x yes")).toBe("");
      },
      path,
    );
  });

  test("is refused where a GPU is gone, with the reason, and leaves nothing", async () => {
    await expect(provider.create(specWith(["5"]))).rejects.toMatchObject({
      code: "no_capacity",
      message: expect.stringContaining("/dev/nvidia5"),
    });
    await expect(localProvider(rootDir).create(specWith(["0"]))).rejects.toMatchObject({ code: "no_capacity" });
  });
});

test("without isolation a job is told its GPUs by name, and that the others are not hidden", async () => {
  const root = newRoot();
  const plain = localProvider(root, { isolation: "none", gpus: machine.gpus() });
  const sandbox = await plain.create(specWith(["2"], { PATH: `${machine.root}/own:${process.env.PATH}` }));
  expect(await said(sandbox, "echo $CUDA_VISIBLE_DEVICES")).toBe("GPU-00000002-1111-2222-3333-444444444444");
  expect(sandbox.notes.join(" ")).toContain("not hidden");
  const script = '#!/bin/sh\n[ "$1 $2" = "-i $CUDA_VISIBLE_DEVICES" ] && echo "70, [N/A], 100"\n';
  machine.write("own/nvidia-smi", script, 0o755);
  const latest = { utilization: 70, gpus: 1, memoryUsedMiB: null, memoryTotalMiB: 100 };
  expect(await firstGpuAnswer(sandbox)).toMatchObject({ samples: 1, latest });
  await sandbox.terminate();
  await plain.close();
  rmSync(root, { recursive: true, force: true });
  expect(existsSync(root)).toBe(false);
});

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Path of `nvidia-smi` in sandboxes with a GPU. */
export const DRIVER_PATH = "/opt/nvidia/bin";

/** The driver's name of each type. A sandbox may get a better type than requested, as on Modal. */
const DEVICES: Readonly<Record<string, string>> = {
  T4: "Tesla T4", L4: "NVIDIA L4", A10: "NVIDIA A10", A10G: "NVIDIA A10G", L40S: "NVIDIA L40S", A100: "NVIDIA A100-SXM4-40GB",
  "A100-40GB": "NVIDIA A100-SXM4-40GB", "A100-80GB": "NVIDIA A100-SXM4-80GB", "RTX-PRO-6000": "NVIDIA RTX PRO 6000 Blackwell Server Edition",
  H100: "NVIDIA H100 80GB HBM3", "H100!": "NVIDIA H100 80GB HBM3", H200: "NVIDIA H200", B200: "NVIDIA B200", "B200+": "NVIDIA B300",
}; // biome-ignore format: a table

/**
 * A fake `nvidia-smi` that prints the names of the devices, whatever its arguments; asked how busy they are, the line in the
 * file `use` beside it for each, or "50, 1024, 81559".
 */
export async function installDriver(
  root: string,
  gpu: { readonly type: string; readonly count: number },
  devices: readonly string[] | undefined,
): Promise<void> {
  const [name = DEVICES[gpu.type] ?? gpu.type, ...others] = devices ?? [];
  const names = others.length > 0 ? [name, ...others] : Array.from({ length: gpu.count }, () => name);
  if (devices?.length === 0) return;
  const list = (lines: string) => `cat <<END\n${lines}\nEND`;
  const isAskedForUse = 'case "$*" in *utilization.gpu*)';
  const use = `use=$(cat "\${0%/*}/use" 2>/dev/null || echo "50, 1024, 81559")\n${list(names.map(() => "$use").join("\n"))}`;
  const script = `#!/bin/sh\n${isAskedForUse} ${use}\nexit;; esac\n${list(names.join("\n"))}\n`;
  await mkdir(join(root, DRIVER_PATH), { recursive: true });
  await writeFile(join(root, DRIVER_PATH, "nvidia-smi"), script, { mode: 0o755 });
}

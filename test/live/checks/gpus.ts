import { formatGpu, type GpuRequest } from "../../../src/config/gpu.ts";
import { type LiveCheck, seconds, withGpus } from "../live-check.ts";

const LIFETIME_S = 300;

const ALL_REDUCE = `
import os, time, torch, torch.distributed as dist
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
world = dist.get_world_size()
x = torch.full((64 * 1024 * 1024,), float(rank + 1), device="cuda")
dist.all_reduce(x)
total = x[0].item()
torch.cuda.synchronize()
began = time.perf_counter()
for _ in range(10):
    dist.all_reduce(x)
torch.cuda.synchronize()
seconds = (time.perf_counter() - began) / 10
if rank == 0:
    bus = 2 * (world - 1) / world * x.numel() * 4 / seconds / 1e9
    print(f"ALL_REDUCE world={world} sum={total:.0f} bus={bus:.0f}GB/s", flush=True)
dist.destroy_process_group()
`;

/** Whether as many processes as there are GPUs reach each other. */
export function manyGpus(gpu: GpuRequest): LiveCheck {
  const size = withGpus(gpu);
  return {
    name: `${formatGpu(gpu)} together`,
    assumes: `a sandbox with ${formatGpu(gpu)} has that many devices of the type, and NCCL connects them without InfiniBand`,
    usedBy: ["src/sandboxes/modal/prepare.ts", "src/config/gpu.ts", "skills/parameter-golf/scripts/run_proxy.sh"],
    plan: [{ size, count: 1, lifetimeS: LIFETIME_S }],
    async run(live) {
      const { dockerfile, torchrun } = live.scale.torch;
      const image = await live.image(dockerfile); // built before a GPU is paid for
      const from = live.now();
      const sandbox = await live.create(size, LIFETIME_S, image, { env: { NCCL_IB_DISABLE: "1" } });
      const upMs = live.now() - from;
      const devices = (await live.run(sandbox, "nvidia-smi --query-gpu=name --format=csv,noheader")).stdout;
      const names = devices.trim().split("\n").filter(Boolean);
      const script = `cat > /root/all_reduce.py <<'PY'${ALL_REDUCE}PY
      ${torchrun} --standalone --nproc_per_node=${gpu.count} /root/all_reduce.py`;
      const { code, stdout, stderr } = await live.run(sandbox, script, 180);
      await sandbox.terminate();
      const sum = (gpu.count * (gpu.count + 1)) / 2;
      const line = stdout.split("\n").find((each) => each.startsWith("ALL_REDUCE ")) ?? "";
      const right = code === 0 && line.includes(`world=${gpu.count} sum=${sum} `) && names.length === gpu.count;
      return {
        verdict: right ? "as assumed" : "different",
        found: `there after ${seconds(upMs)}: ${names.length} × ${[...new Set(names)].join(" and ")}; ${right ? line : `all-reduce ended with ${code}: ${(line || stderr).trim().slice(-200)}`}`,
      };
    },
  };
}

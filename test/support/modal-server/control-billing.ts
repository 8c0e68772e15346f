import type { SandboxRef } from "./messages.ts";
import { refuse } from "./refusal.ts";
import type { Handlers } from "./service.ts";
import type { World } from "./world.ts";

/** Control plane: prices, and the meters of sandboxes. */
export function billingHandlers(world: World): Handlers {
  return {
    WorkspaceBillingRates() {
      const rates = world.options.billingRates;
      if (!rates) return refuse("UNIMPLEMENTED", "WorkspaceBillingRates");
      return { rates, deprecationWarnings: {}, deprecationErrors: {}, formatted: "" };
    },

    /** As billed: the larger of request and use. A sandbox that has ended has no meter any more. */
    SandboxGetResourceUsage({ sandboxId }: SandboxRef) {
      const { usage } = world.options;
      if (!usage) return refuse("UNIMPLEMENTED", "SandboxGetResourceUsage");
      const { startedAt, result, plan } = world.sandbox(sandboxId);
      if (startedAt === null || result !== null) return { cpuCoreNanosecs: 0, memGibNanosecs: 0, gpuNanosecs: 0 };
      const { milliCpu = 0, memoryMb = 0 } = plan.definition.resources ?? {};
      const nanoseconds = (Date.now() - startedAt) * 1e6;
      const counted = (amount: number) => Math.round(amount * nanoseconds);
      return {
        cpuCoreNanosecs: counted(Math.max(usage.cores, milliCpu / 1000)),
        memGibNanosecs: counted(Math.max(usage.memoryGiB, memoryMb / 1024)),
        gpuNanosecs: counted(plan.gpu?.count ?? 0),
        ...(plan.gpu && { gpuType: plan.gpu.type }),
      };
    },
  };
}

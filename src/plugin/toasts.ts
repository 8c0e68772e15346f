import type { HostClient } from "./host-client.ts";
import type { LabAccess } from "./lab-access.ts";

/** Tells the user, once and in the background, when the options are not usable. */
export function announceOptions(client: HostClient, access: LabAccess): () => void {
  let announced = false;
  return () => {
    if (announced) return;
    announced = true;
    void (async () => {
      const loaded = await access.options();
      if (loaded.kind === "ok") return;
      // Without a terminal UI nobody shows it, which is no failure.
      await client.tui.showToast({ title: "Parallel agents", message: loaded.message, variant: "error" });
    })().catch(() => {});
  };
}

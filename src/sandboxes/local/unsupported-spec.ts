import { PluginError } from "../../shared/error-code.ts";
import type { SandboxSpec } from "../port.ts";

/** Refuses, rather than ignores, whatever a spec asks for that a sandbox on this computer cannot have. @throws PluginError `sandbox_create_failed` */
export function refuseUnsupported({ machine, network }: SandboxSpec): void {
  if (typeof network === "object") {
    throw new PluginError(
      "sandbox_create_failed",
      'A network limited to domains or CIDRs is not supported by the local provider; use "open" or "blocked".',
      { retryable: false },
    );
  }
  if (!machine) return;
  const asked = {
    image: machine.image !== null,
    imageSecret: machine.imageSecret !== null,
    gpu: machine.gpu !== null && (machine.devices ?? []).length === 0,
    cpu: machine.cpu !== null,
    secrets: machine.secrets.length > 0,
    volumes: Object.keys(machine.volumes).length > 0,
    buckets: Object.keys(machine.buckets).length > 0,
    ports: machine.ports.length > 0,
    regions: machine.regions.length > 0,
    cloud: machine.cloud !== null,
    proxy: machine.proxy !== null,
    runtime: machine.runtime !== null,
  };
  const refused = Object.entries(asked).flatMap(([name, wanted]) => (wanted ? [name] : []));
  if (refused.length === 0) return;
  throw new PluginError(
    "sandbox_create_failed",
    `Local sandboxes cannot have ${refused.join(", ")}; use provider "modal", or remove ${refused.length === 1 ? "it" : "them"} from the environment.`,
    { retryable: false },
  );
}

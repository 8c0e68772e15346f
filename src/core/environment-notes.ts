import type { Environment } from "../config/environment.ts";
import { nameList } from "../shared/plain-text.ts";

/*
 * What a job's agent, and whoever looks at the job, should know of the machine that its environment asks for. All jobs of an
 * environment get these notes, which leave out what does not apply.
 */

export const environmentNotes = ({ network, runtime }: Pick<Environment, "network" | "runtime">): string[] => [
  ...networkNotes(network),
  ...(runtime === "vm" ? ["The sandbox is a virtual machine: Docker works in it where it is installed."] : []),
];

/** @source Modal's documents: rules for domains let through TLS on port 443 only */
function networkNotes(network: Environment["network"]): string[] {
  if (network === "open") return [];
  if (network === "blocked" || network.domains.length + network.cidrs.length === 0)
    return ["The sandbox has no network: its environment blocks it."];
  const domains = `${nameList(network.domains)} (TLS on port 443 only: HTTPS, but no plain HTTP or SSH)`;
  const reached = [
    ...(network.domains.length > 0 ? [domains] : []),
    ...(network.cidrs.length > 0 ? [`the addresses ${nameList(network.cidrs)} (any port)`] : []),
  ];
  return [`The sandbox reaches only ${reached.join(" and ")}: its environment blocks everything else.`];
}

/** What an agent should know of the ports of its sandbox. Each new sandbox has other addresses. */
export const portNotes = (ports: readonly { readonly port: number; readonly url: string }[]): string[] =>
  ports.map(
    ({ port, url }) =>
      `Port ${port} is public: anyone on the internet reaches what listens on it at ${url}, without a password, until this sandbox ends. Serve nothing private there.`,
  );

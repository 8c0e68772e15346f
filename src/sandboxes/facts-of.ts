import type { Sandbox } from "./port.ts";

/** What a sandbox that stands before another has from it unchanged. */
export function factsOf(sandbox: Sandbox) {
  // By name, because a spread would leave out what a class has as getters.
  const { id, workdir, home, notes, gpu, billedSince, ports, memory, processes, network, ended } = sandbox;
  return { id, workdir, home, notes, gpu, billedSince, ports, memory, processes, network, ended };
}

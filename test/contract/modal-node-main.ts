import { modalProvider } from "./modal-support.ts";
import { sandboxProviderContract } from "./sandbox-provider.contract.ts";

// Runs the provider contract in a Node process, against the server that its environment names.
sandboxProviderContract({
  name: "modal under Node",
  open: async () => modalProvider(),
  declares: { snapshots: true, ownPipes: false },
});

// A process that opens an isolation whose files never come, and waits to be killed.
import { bubblewrapBackend, planInMaking } from "./filling-support.ts";

setTimeout(() => process.exit(1), 60_000); // not beyond a test that forgot it
const rootDir = process.argv[2] as string;
const backend = await bubblewrapBackend(rootDir);
process.stdout.write("opening\n");
await backend.open(planInMaking(rootDir, "open").plan);

import { hostContract } from "./host.contract.ts";
import { openHost } from "./host-opencode-1-open.ts";

hostContract("OpenCode 1.18.33", () => openHost(false));

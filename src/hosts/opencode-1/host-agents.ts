import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { type HostClient, unwrap } from "./host-client.ts";

export type HostAgents = () => Promise<readonly HostAgentInfo[]>;
export type HostAgentInfo = NonNullable<Awaited<ReturnType<HostClient["app"]["agents"]>>["data"]>[number];

/** The agents that OpenCode knows, read once: its configuration does not change while an instance lives. */
export const createHostAgents = (client: Pick<HostClient, "app">): HostAgents =>
  memoizeUntilFailure(() => unwrap(client.app.agents(), "session_create_failed", "list the agents"));

/** Agents that OpenCode itself uses between turns. A user's configuration may change their prompts and unhide them. */
const OWN_USE: readonly string[] = ["compaction", "title", "summary"];

/** Whether neither a user nor a model can choose the agent: it is OpenCode's own, or hidden from both. */
export const isInternal = ({ name, mode, hidden }: Pick<HostAgentInfo, "name" | "mode" | "hidden">): boolean =>
  OWN_USE.includes(name) || (hidden === true && mode === "primary");

import { oneLine } from "../shared/plain-text.ts";
import type { JobView } from "./job-view.ts";

/** "port 8080 public at https://…" */
export const describePorts = ({ ports = [] }: Pick<JobView, "ports">): string =>
  ports.map(({ port, url }) => `port ${port} public at ${oneLine(url)}`).join(", ");

/** What must be known of them: the beginning of a sentence, which goes on with what closes them. */
export const PUBLIC_PORTS = "Anyone on the internet reaches a public port, without a password, until its sandbox ends";

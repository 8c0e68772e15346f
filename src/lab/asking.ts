import { deleteRequest, parseAnswer, parseRequest, withdrawRequest, writeRequest } from "../jobs/store/live-store.ts";
import { type Clock, sleep } from "../shared/clock.ts";
import type { IdGenerator } from "../shared/ids.ts";
import { hasEnded } from "../shared/process-identity.ts";
import type { LabAnswer, LabRequest } from "../views/lab-view.ts";
import type { Liveness } from "./live-facts.ts";
import type { SessionReader } from "./session-reader.ts";

export interface AskingDeps {
  readonly liveness: Liveness;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/** Within it a process must have begun with what is asked for, or it is taken back. */
const BEGIN_MS = 10_000;
/** What is begun takes as long as it takes: freezing a large sandbox takes minutes. */
const END_MS = 10 * 60_000;
const LOOK_MS = 100;

const refused = (code: string, message: string): LabAnswer => ({ kind: "refused", code, message });

/** Never rejects. */
export async function askProcess(
  { liveness, clock, ids }: AskingDeps,
  reader: SessionReader | null,
  request: LabRequest,
): Promise<LabAnswer> {
  const reading = reader?.read();
  if (!reader || !reading) return refused("not_found", "There is no such session, or it has started no jobs.");
  if (liveness.alive(reading, reader).length === 0)
    return refused(
      "not_found",
      "No OpenCode has this session in use, so nobody can do it. Open the session in OpenCode, let it answer once, and try again.",
    );
  const text = JSON.stringify(request);
  if (!parseRequest(text)) return refused("invalid_task", "This cannot be asked for: it is empty, or too long.");
  const id = ids("ask");
  const until = clock.now() + BEGIN_MS;
  try {
    reader.write((database) => writeRequest(database, { id, until, text }));
  } catch (error) {
    return refused("config_invalid", `Could not ask the OpenCode that has the session in use: ${String(error)}`);
  }
  return waitForAnswer(reader, clock, id, until);
}

async function waitForAnswer(reader: SessionReader, clock: Clock, id: string, until: number): Promise<LabAnswer> {
  for (;;) {
    await sleep(clock, LOOK_MS);
    const found = reader.request(id);
    if (found?.answer != null) {
      attempt(() => reader.write((database) => deleteRequest(database, id)));
      return (
        parseAnswer(found.answer) ?? refused("config_invalid", "It was answered by another version of the plugin.")
      );
    }
    const now = clock.now();
    if (found?.owner != null) {
      if (hasEnded(found.owner) === true || now >= until + END_MS)
        return refused(
          "cancelled",
          "The OpenCode that had the session in use began with it and has not finished. Look at the jobs before you ask again.",
        );
      continue;
    }
    if (now < until) continue;
    if (attempt(() => reader.write((database) => withdrawRequest(database, id))) && reader.request(id)?.owner != null)
      continue; // it was taken in this moment
    return refused(
      "cancelled",
      `The OpenCode that has the session in use has not answered in ${BEGIN_MS / 1000} s. It will not be done; try again.`,
    );
  }
}

function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false; // what is not taken back is too old to be taken
  }
}

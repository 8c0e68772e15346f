import type { App, Image, ModalClient } from "modal";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { within } from "../../shared/time-limit.ts";
import type { StepListener } from "../creation-steps.ts";
import { BuildLog } from "./build-log.ts";
import type { CallWatch } from "./call-watch.ts";
import type { ModalLimits } from "./limits.ts";
import { kindOf } from "./modal-error.ts";

export interface BuildDeps {
  readonly clock: Clock;
  readonly limits: ModalLimits;
  readonly watch: CallWatch;
}

export interface BuildRequest {
  /** What the image is called in messages. */
  readonly name: string;
  /** Makes the image's handle, for each attempt anew. */
  readonly prepare: () => Promise<Image>;
  /** What is wrong and what to do, by what a failed build said; null = nothing known. */
  readonly explain: (said: string) => string | null;
  /** What to check where neither Modal nor the build's log says why it failed. */
  readonly silent: string;
  readonly tell: StepListener;
}

/** Delays before a build that was broken off is asked for again. Nothing is built twice, as images go by their content. */
const RETRY_MS = [500, 2_000];

/**
 * How builds end. @source Modal JS SDK 0.11.1, GenericResult.GenericStatus. 1 is a success; what is not named here is a
 * failure of the recipe itself.
 */
const BROKEN_OFF: Readonly<Record<number, string>> = {
  3: "Modal ended the build",
  4: "it took longer than Modal allows",
  6: "Modal had an internal error",
  8: "Modal ended the build to free memory",
};

/** The build's last replies, as far as the SDK shows them to nobody. */
interface Seen {
  imageID: string;
  status: number;
  exception: string;
  log: BuildLog;
}

/**
 * Builds an image, within `limits.buildMs` over all attempts.
 * @throws PluginError `sandbox_create_failed` with the end of the log when the build failed, `sandbox_create_timeout`; else
 * what the SDK throws
 * @source Modal JS SDK 0.11.1, Image.build: waits without a limit, and drops the build's log
 */
export async function buildImage(
  deps: BuildDeps,
  client: ModalClient,
  app: App,
  { name, prepare, explain, silent, tell }: BuildRequest,
): Promise<Image> {
  const { clock, limits } = deps;
  const since = clock.now();
  const doing = `Building image ${name}`;
  for (let attempt = 0; ; attempt += 1) {
    const seen: Seen = { imageID: "", status: 0, exception: "", log: new BuildLog() };
    const onReply = (method: string, reply: unknown) => {
      if (note(seen, method, reply)) tell({ kind: "building", since, image: name, line: seen.log.lastLine() });
    };
    try {
      const image = await within(prepare(), { clock, limitMs: limits.callMs, doing });
      const limitMs = Math.max(1, since + limits.buildMs - clock.now());
      const built = deps.watch.during(onReply, () => image.build(app));
      return await within(built, { clock, limitMs, doing });
    } catch (error) {
      const isBrokenOff = kindOf(error) === "unreachable" || Object.hasOwn(BROKEN_OFF, seen.status);
      const delayMs = RETRY_MS[attempt];
      if (isBrokenOff && delayMs !== undefined && clock.now() + delayMs < since + limits.buildMs) {
        await sleep(clock, delayMs);
        continue;
      }
      if (seen.status > 1) {
        seen.log = await readLog(client, seen, deps);
        const explained = explain(`${seen.exception}\n${seen.log.tail().join("\n")}`);
        throw failedBuild({ name, silent }, seen, explained, error);
      }
      if (kindOf(error) === "timed_out" && clock.now() >= since + limits.buildMs)
        throw slowBuild(name, seen, deps, error);
      throw error;
    }
  }
}

/** Keeps what a reply says of the build. @returns whether the build is under way */
function note(seen: Seen, method: string, reply: unknown): boolean {
  const { imageId, result, taskLogs } = reply as {
    imageId?: string;
    result?: { status: number; exception: string };
    taskLogs?: readonly { data: string }[];
  };
  if (method !== "ImageGetOrCreate" && method !== "ImageJoinStreaming") return false;
  if (imageId) {
    seen.imageID = imageId; // the next layer
    seen.log = new BuildLog();
  }
  for (const { data } of taskLogs ?? []) seen.log.add(data);
  seen.status = result?.status ?? 0;
  seen.exception = result?.exception ?? "";
  return seen.status === 0;
}

/** The log of a build that has failed, from its beginning: a stream that was joined late lacks it. Never rejects. */
async function readLog(client: ModalClient, { imageID, log }: Seen, { clock, limits }: BuildDeps): Promise<BuildLog> {
  const whole = new BuildLog();
  const read = async () => {
    const request = { imageId: imageID, timeout: limits.callMs / 1000, lastEntryId: "", includeLogsForFinished: true };
    for await (const { taskLogs, result, eof } of client.cpClient.imageJoinStreaming(request)) {
      for (const { data } of taskLogs) whole.add(data);
      if (eof || result?.status) return;
    }
  };
  await within(read(), { clock, limitMs: limits.callMs, doing: `Reading the log of ${imageID}` }).catch(() => {});
  return whole.lastLine() === null ? log : whole;
}

function failedBuild(
  { name, silent }: Pick<BuildRequest, "name" | "silent">,
  { status, exception, log, imageID }: Seen,
  explained: string | null,
  cause: unknown,
): PluginError {
  const lines = log.tail();
  const why = BROKEN_OFF[status] ?? (oneLine(exception, 300) || oneLine(lines.at(-1) ?? "", 300));
  const reason = why === "" ? "Modal does not say why" : why.replace(/\.$/, "");
  const shown =
    lines.length === 0
      ? `Modal has no log of it either: look for ${imageID} in the app's page at https://modal.com/apps.`
      : `The last ${lines.length === 1 ? "line" : `${lines.length} lines`} of its log:\n${lines.join("\n")}`;
  const message =
    explained === null
      ? `Could not build image ${name}: ${reason}. ${why === "" ? silent : 'Check the environment\'s "image".'} ${shown}`
      : `Could not build image ${name}. ${explained} Modal says: ${reason}.${lines.length === 0 ? "" : ` ${shown}`}`;
  const retryable = Object.hasOwn(BROKEN_OFF, status) ? true : explained === null ? null : false;
  return new PluginError("sandbox_create_failed", message, { cause, retryable });
}

/** Not tried again by itself: the build has had its time. Modal goes on with it, so a later job may find it done. */
function slowBuild(name: string, { log }: Seen, { limits }: BuildDeps, cause: unknown): PluginError {
  const line = log.lastLine();
  const last = line === null ? "" : ` Its last line: ${oneLine(line, 300)}`;
  const message = `Building image ${name} took longer than ${Math.round(limits.buildMs / 60_000)} minutes. The limit is modal.buildTimeoutMinutes; Modal goes on building, so a job that is started later may find the image.${last}`;
  return new PluginError("sandbox_create_timeout", message, { cause, retryable: null });
}

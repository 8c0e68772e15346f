import { inWords } from "../core/gpu-wait.ts";
import type { IdGenerator } from "../shared/ids.ts";
import { oneLine } from "../shared/plain-text.ts";
import { formatUsd } from "../shared/usd.ts";
import type { EnvironmentView } from "../views/environment-view.ts";
import { createFrame, toFact, toFramed } from "./quoted-text.ts";

/** What there is to say of environments with a set-up; nothing of others. */
export function renderEnvironments(views: readonly EnvironmentView[], ids: IdGenerator, now: number): string[] {
  return views.flatMap((view) => {
    const { name, error } = view;
    const said = describe(view, now);
    if (said === null) return [];
    const line = `Environment ${oneLine(name, 64)}: ${said}.`;
    if (!error) return [line];
    const [what = "", ...output] = toFramed(error.message).split("\n");
    if (output.length === 0) return [`${line} ${what}`];
    const frame = createFrame(ids, output);
    return [`${line} ${what}`, frame.introduction, frame.around(output.join("\n"))];
  });
}

function describe({ state, builtAt, buildSeconds, usd, building, error }: EnvironmentView, now: number): string | null {
  const ago = builtAt === undefined ? null : `built ${inWords(now - Date.parse(builtAt))} ago`;
  const took =
    buildSeconds === undefined ? "" : ` in ${inWords(buildSeconds * 1000)}${usd ? ` for ${formatUsd(usd)}` : ""}`;
  switch (state) {
    case "ready":
      return ago && `ready, ${ago}${took}`;
    case "building": {
      const command =
        building && building.step > 0
          ? ` (${building.step} of ${building.of} commands: ${toFact(building.command, 60)})`
          : "";
      const meanwhile = ago === null ? "its jobs wait for that" : `jobs start from what was ${ago}`;
      return `building${command}; ${meanwhile}`;
    }
    case "stale":
      if (ago === null) return "its set-up has not run yet; the next job that uses it has it run first";
      return error
        ? `stale, ${ago}: its newest build failed, and jobs start from the one before`
        : `stale, ${ago}: the next job that uses it has it built anew in the background`;
    case "failed":
      return "its set-up failed, and so do the jobs that waited for it; the next job has it run again";
  }
}

/** What the jobs that were just started wait for. @param names of the environments whose set-up has not run */
export function renderBuildsFirst(waits: readonly { readonly name: string; readonly commands: number }[]): string[] {
  return waits.map(
    ({ name, commands }) =>
      `Environment ${oneLine(name, 64)} is built first, once for all jobs: its set-up has ${commands} ${commands === 1 ? "command" : "commands"}, and its jobs wait for them.`,
  );
}

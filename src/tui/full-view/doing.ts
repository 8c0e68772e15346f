/** What a conversation shows of its newest work. */
export interface Doing {
  /** "" = nothing runs. */
  readonly command: string;
  /** The newest output, or the newest words of the model. Not cleaned. */
  readonly output: string;
}

export const NOTHING_DONE: Doing = { command: "", output: "" };

/** A part of a message, as far as it says what a conversation does. */
export interface DoingPart {
  readonly type: string;
  readonly text?: string;
  readonly ignored?: boolean;
  readonly tool?: string;
  readonly state?: {
    readonly status: string;
    readonly input?: Readonly<Record<string, unknown>>;
    readonly output?: string;
    readonly error?: string;
  };
}

/** @returns `before` with what a newer part says; the very same where it says nothing */
export function doingAfter(before: Doing, part: DoingPart): Doing {
  if (part.type === "text") {
    const text = part.text ?? "";
    return text === "" ? before : { ...before, output: withoutFences(text) };
  }
  if (part.type !== "tool" || part.state === undefined) return before;
  const { status, output, error } = part.state;
  if (status === "running") {
    const command = commandOf(part);
    return command === before.command ? before : { command, output: "" };
  }
  if (status === "completed" || status === "error") return { command: "", output: output ?? error ?? "" };
  return before;
}

/** What the newest parts of a conversation show, oldest first. */
export const doingIn = (parts: readonly DoingPart[]): Doing => parts.reduce(doingAfter, NOTHING_DONE);

function commandOf({ tool, state }: DoingPart): string {
  const command = state?.input?.command;
  return typeof command === "string" ? `$ ${command}` : (tool ?? "");
}

/** A live part frames output for interfaces that draw Markdown; here it is shown as it is. */
const withoutFences = (text: string): string => text.replace(/^`{3,}\w*$\n?/gm, "");

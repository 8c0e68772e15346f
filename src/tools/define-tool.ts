import type { ToolContext, ToolDefinition, ToolResult } from "@opencode-ai/plugin";
import { z } from "zod";
import type { Catalog } from "../jobs/core/ports.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { FileError } from "../sandboxes/port.ts";
import { type ErrorCode, PluginError } from "../shared/error-code.ts";
import { oneLine, plainText } from "../shared/plain-text.ts";
import type { ProcessTable } from "./process-table.ts";

/** What tools are given by the place that puts them together. */
export interface ToolHost {
  /** Opens everything on first need. @throws PluginError `config_invalid` */
  runtime(): Promise<Runtime>;
  catalog(): Promise<Catalog>;
  /** `provider/model` the calling session runs on. */
  modelOf(context: ToolContext): Promise<string | null>;
  /** Tools that the user forbids to the calling session, and so to jobs that it starts. */
  forbiddenTo(context: ToolContext): Promise<readonly string[]>;
  progress(context: ToolContext): Progress;
  readonly processes: ProcessTable;
  /** Files that the host is configured to read as instructions: paths and patterns, as its configuration has them. */
  instructions(): readonly string[];
  /** The first jobs of this instance are about to start. */
  jobsStarting(): void;
}

/** What people see of a tool while it runs. */
export interface Progress {
  show(view: ProgressView): void;
  /** Takes the picture away; awaited before the tool returns, so that no update follows its result. */
  stop(): Promise<void>;
}

export interface ProgressView {
  readonly title: string;
  /** Markdown, shown below the running call. */
  readonly text: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface ToolAnswer {
  readonly title: string;
  readonly output: string;
  readonly metadata: Record<string, unknown>;
}

export interface ToolSpec<Shape extends z.ZodRawShape, Args> {
  readonly name: string;
  readonly description: string;
  /** What the model is told. */
  readonly args: Shape;
  /** What is checked before `run`; strictly the same unless given. */
  readonly parse?: z.ZodType<Args>;
  /**
   * What the host is asked before it runs, under the tool's own name: it asks the user only where he has configured
   * that. Never given for tools of a job, which has nobody to answer.
   */
  readonly asks?: (args: Args) => readonly string[];
  /** Its output is the job's own files or programs for the job itself, and is not altered. */
  readonly isVerbatim?: boolean;
  run(args: Args, context: ToolContext): Promise<ToolAnswer>;
}

/**
 * A tool as the host wants it. The host neither checks arguments nor applies their defaults, so both happen here. What
 * a model can act on is answered with its code; only bugs throw.
 */
export function defineTool<Shape extends z.ZodRawShape, Args = z.output<z.ZodObject<Shape>>>(
  spec: ToolSpec<Shape, Args>,
): ToolDefinition {
  const schema = spec.parse ?? (z.strictObject(spec.args) as unknown as z.ZodType<Args>);
  return {
    description: spec.description,
    args: spec.args,
    async execute(raw: unknown, context: ToolContext): Promise<ToolResult> {
      const parsed = schema.safeParse(raw ?? {});
      if (!parsed.success) {
        const message = `${spec.name} was called with bad arguments: ${describeIssues(parsed.error)}`;
        return toErrorAnswer("invalid_task", message, false);
      }
      try {
        if (spec.asks) await askHost(context, spec.name, spec.asks(parsed.data));
        const { title, output, metadata } = await spec.run(parsed.data, context);
        return { title: oneLine(title, 200), output: spec.isVerbatim ? output : plainText(output), metadata };
      } catch (error) {
        if (error instanceof PluginError) return toErrorAnswer(error.code, error.message, error.retryable);
        if (error instanceof FileError) return toErrorAnswer(error.code, error.message, false);
        throw toPlainError(error);
      }
    },
  } as ToolDefinition;
}

/**
 * Asks as the host's own tools do: allowed without a question unless the user has configured the permission. A refusal
 * rejects with the host's own error, which the host tells to the model. When the turn is stopped meanwhile the host
 * never answers: then it rejects too, so that an answer that comes after all starts nothing.
 */
export async function askHost(
  context: Pick<ToolContext, "ask" | "abort">,
  permission: string,
  patterns: readonly string[],
  metadata: Record<string, unknown> = {},
): Promise<void> {
  const shown = [...new Set(patterns.map((pattern) => oneLine(pattern, 200)))];
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Error(`The turn was stopped before anybody had answered whether ${permission} is allowed.`)); // biome-ignore format: one line
  const question = { permission, patterns: shown.length > 0 ? shown : ["*"], always: ["*"], metadata };
  context.abort.addEventListener("abort", stop);
  try {
    if (context.abort.aborted) stop();
    await Promise.race(context.abort.aborted ? [stopped] : [stopped, context.ask(question)]);
  } finally {
    context.abort.removeEventListener("abort", stop);
  }
}

/** The call as it is found in its session. The host gives its id, though its types do not say so. */
export const callOf = (context: ToolContext): { readonly messageID: string; readonly callID: string } => ({
  messageID: context.messageID,
  callID: (context as { callID?: string }).callID ?? "",
});

/** Every issue with the path of its field: `tasks[0].prompt: expected string, received number`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 8)
    .map(({ path, message }) => {
      const field = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
      return field === "" ? message : `${field.replace(/^\./, "")}: ${message}`;
    })
    .join("; ");
}

/** A bug's message may quote anything too; the host's own errors, which it knows by their class, never need this. */
function toPlainError(error: unknown): unknown {
  if (!(error instanceof Error) || plainText(error.message) === error.message) return error;
  return new Error(oneLine(error.message, ERROR_LIMIT), { cause: error });
}

const ERROR_LIMIT = 4_000;

function toErrorAnswer(code: ErrorCode | FileError["code"], message: string, retryable: boolean | null): ToolAnswer {
  // It may quote a job, or a file's name. Only a list of problems with the options has lines of its own.
  const shown = code === "config_invalid" ? plainText(message) : oneLine(message, ERROR_LIMIT);
  return { title: code, output: `Error ${code}: ${shown}`, metadata: { error: { code, message: shown, retryable } } };
}

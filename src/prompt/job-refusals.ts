/* What a job's model, or a client that acts in its session, is told when a host stops it. */

export const refuseHostTool = (tool: string): string =>
  `"${tool}" would run on the user's machine; a job has only its sandbox: use the sandbox_* tools.`;

/** @param owner who else uses the tool's name, in words */
export const refuseShadowedTool = (tool: string, owner: string): string =>
  `${tool} may be taken by ${owner}, and would run on the user's machine; jobs cannot use it.`;

export const SHELL_REFUSAL =
  "This session belongs to a job, whose commands run in its sandbox only, never on this machine.";

export const COMMAND_REFUSAL =
  "This session belongs to a job, and commands read from this machine; send it a message instead.";

export const QUESTION_REFUSAL =
  "Nobody answers in a job. Decide for yourself with what you have, and say at the end what you assumed.";

/** What a job's notes say of a question that the host asked in its session. @param question the host's name for it */
export const questionNote = (question: string, isAllowed: boolean): string =>
  isAllowed
    ? `Nobody answers in a job: OpenCode's question whether to go on ("${question}", after equal calls in a row) was answered with yes.`
    : `Nobody answers in a job: OpenCode's question "${question}" was refused, and the job was told to decide for itself.`;

import type { Answer } from "../core/answer.ts";

/** A turn's answer, with marks where it is not simply the text of its last message. @param isCut at the output limit */
export function renderAnswer({ text, isEarlier, report }: Answer, isCut: boolean): string {
  const marked = [
    text,
    ...(isEarlier ? ["[This is from an earlier message: the job's last message had no text.]"] : []),
    ...(isCut ? ["[The answer was cut off at the model's output limit.]"] : []),
  ].join("\n");
  return report === null ? marked : `${report}\n[This is from an earlier message. The job ended with:]\n${marked}`;
}

/** Why a turn without a word is no answer. @param isCut at the output limit */
export const describeSilence = (isCut: boolean): string =>
  `The job's last turn ended without a word${isCut ? ": its model reached its output limit before it wrote any" : ""}. Its files are kept: send it a message that asks for its report.`;

/** @param tool whose call stands at the end of the answer */
export const describeWritten = (tool: string): string =>
  `The job's last turn ended with a call of ${tool} that its model wrote as text, so that nobody carried it out. The server of the model has to recognize its calls of tools (a matter of its settings or its version). The job's files are kept: send it a message to go on, or choose another model.`;

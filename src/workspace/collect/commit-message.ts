import { plainText } from "../../shared/plain-text.ts";
import type { Person } from "../project/identity.ts";

const MESSAGE_LIMIT = 20_000;

/** Trailers and headers that claim something in a person's name. */
const CLAIM =
  /^((signed-off|co-authored|co-developed|reviewed|acked|tested|approved|reported|suggested|requested|helped|mentored|authored|committed|merged|pushed)-by|on-behalf-of)$/;

/** These do so if an address follows. The first four set the author of a patch that is sent by mail. */
const CLAIM_OF_A_PERSON = /^(from|author|committer|sender|(\p{L}+-)+by)$/u;

/** Names the tool that made a change. @source docs.kernel.org, process/coding-assistants */
const NAMES_A_TOOL = /^(assisted|generated)-by$/;

export interface CleanMessage {
  readonly text: string;
  /** Lines that were removed because they spoke for somebody. */
  readonly claims: number;
}

/**
 * Makes a job's commit message fit for a commit in the user's name: without invisible characters, without trailers that we
 * add ourselves, and without trailers that speak for a person. Only a person can say that he signed off, reviewed or
 * co-authored a change, and readers would take the job's claim for the user's word.
 */
export function cleanMessage(message: string, identity: Person): CleanMessage {
  const lines: string[] = [];
  let claims = 0;
  let isDropping = false;
  for (const line of plainText(message.slice(0, MESSAGE_LIMIT)).split("\n")) {
    const isFolded: boolean = isDropping && /^\s+\S/.test(line); // continues the line before
    const kind: "ours" | "claim" | null = isFolded ? null : kindOf(line, identity);
    isDropping = isFolded || kind !== null;
    if (kind === "claim") claims++;
    if (!isDropping) lines.push(asProse(line));
  }
  return { text: lines.join("\n").trim() || "Work without a message", claims };
}

/** What a line is to programs that parse trailers, and to people who read quickly. */
function kindOf(line: string, { name, email }: Person): "ours" | "claim" | null {
  const [, written = "", value = ""] = /^[\s>*+-]*([^:=#]{1,80}?)\s*[:=#](.*)$/su.exec(line.normalize("NFKC")) ?? [];
  const token = written.replace(/[\s_\p{Pd}]+/gu, "-").toLowerCase();
  if (token === "job") return "ours";
  if (CLAIM.test(token) || (/^[\p{L}\p{N}-]+$/u.test(token) && names(value, email))) return "claim";
  if (NAMES_A_TOOL.test(token)) return names(value, name) ? "claim" : null;
  return CLAIM_OF_A_PERSON.test(token) && /\S@\S/.test(value) ? "claim" : null;
}

const names = (value: string, who: string): boolean => who !== "" && value.toLowerCase().includes(who.toLowerCase());

/** In a patch sent by mail such a line ends the message, and what follows would be applied. @source git-mailinfo(1) */
const asProse = (line: string): string => (/^(---(\s|$)|diff -|Index: |From \S+ )/.test(line) ? ` ${line}` : line);

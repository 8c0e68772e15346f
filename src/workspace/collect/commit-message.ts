import { plainText } from "../../shared/plain-text.ts";
import type { Identity } from "../sandbox/send-tree.ts";

const MESSAGE_LIMIT = 20_000;

/** Trailers and headers that speak for a person. */
const CLAIM =
  /^((signed-off|co-authored|co-developed|reviewed|acked|tested|approved|reported|suggested|requested|helped|mentored|authored|committed|merged|pushed)-by|on-behalf-of)$/;

/** Those that do where a person's address follows. The first ones make an author where a patch is sent by mail. */
const CLAIM_OF_A_PERSON = /^(from|author|committer|sender|(\p{L}+-)+by)$/u;

/** Says what made a change. @source docs.kernel.org, process/coding-assistants */
const NAMES_A_TOOL = /^(assisted|generated)-by$/;

export interface CleanMessage {
  readonly text: string;
  /** Lines that spoke for somebody, taken out. */
  readonly claims: number;
}

/**
 * A stranger's words, made fit for a log under the user's name: nothing that is not seen, no trailer of ours, and none
 * that speaks for a person. Whether somebody signed off, reviewed or wrote a change with others is his to say, and
 * what a job says of it is read by others as the user's word.
 */
export function cleanMessage(message: string, identity: Identity): CleanMessage {
  const kept: string[] = [];
  let claims = 0;
  let isDropping = false;
  for (const line of plainText(message.slice(0, MESSAGE_LIMIT)).split("\n")) {
    const isFolded: boolean = isDropping && /^\s+\S/.test(line); // belongs to the line before
    const kind: "ours" | "claim" | null = isFolded ? null : kindOf(line, identity);
    isDropping = isFolded || kind !== null;
    if (kind === "claim") claims++;
    if (!isDropping) kept.push(asProse(line));
  }
  return { text: kept.join("\n").trim() || "Work without a message", claims };
}

/** What a line's first words make of it for programs that read trailers, and for people who are not careful. */
function kindOf(line: string, { name, email }: Identity): "ours" | "claim" | null {
  const [, written = "", value = ""] = /^[\s>*+-]*([^:=#]{1,80}?)\s*[:=#](.*)$/su.exec(line.normalize("NFKC")) ?? [];
  const token = written.replace(/[\s_\p{Pd}]+/gu, "-").toLowerCase();
  if (token === "job") return "ours";
  if (CLAIM.test(token) || (/^[\p{L}\p{N}-]+$/u.test(token) && names(value, email))) return "claim";
  if (NAMES_A_TOOL.test(token)) return names(value, name) ? "claim" : null;
  return CLAIM_OF_A_PERSON.test(token) && /\S@\S/.test(value) ? "claim" : null;
}

const names = (value: string, who: string): boolean => who !== "" && value.toLowerCase().includes(who.toLowerCase());

/** Where a message is sent by mail, such a line ends it, and what follows is applied as a patch. @source git-mailinfo(1) */
const asProse = (line: string): string => (/^(---(\s|$)|diff -|Index: |From \S+ )/.test(line) ? ` ${line}` : line);

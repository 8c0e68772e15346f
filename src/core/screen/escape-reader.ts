/** What a program's output consists of. Text is bytes, one character each ("latin1"). */
export interface OutputSink {
  text(bytes: string): void;
  /** A line feed, carriage return, tab or backspace. */
  control(code: string): void;
  /** A control sequence, by its last character; ESC 7 and ESC 8 are "save" and "restore". */
  escape(final: string, parameters: string): void;
}

/** Longest escape sequence that is kept until its end arrives. */
const LONGEST_HELD = 4_096;

/*
 * Splits output into text and the escape codes of terminals, however both are cut into chunks. Codes that do not move the
 * cursor or erase are dropped: colours, titles, links, pictures. A string that does not end on its line loses only what opens
 * it, so that nobody can hide text in it; one too long to be kept is dropped until it ends.
 */
export class EscapeReader {
  /** The beginning of a sequence or of a character, whose rest has not arrived. */
  #held = "";
  #isInString = false;

  read(chunk: string, sink: OutputSink): void {
    const bytes = this.#held + chunk;
    this.#held = "";
    let at = this.#isInString ? this.#skipString(bytes, 0) : 0;
    while (at < bytes.length) {
      const special = indexOfSpecial(bytes, at);
      const end = special < bytes.length ? special : bytes.length - lengthOfCutCharacter(bytes);
      if (end > at) sink.text(bytes.slice(at, end));
      if (special === bytes.length) {
        this.#held = bytes.slice(Math.max(at, end));
        return;
      }
      const code = bytes[special] ?? "";
      // A control character beyond ASCII has two bytes in UTF-8.
      const last = code === "\xc2" ? special + 1 : special;
      at = last + 1;
      if (code === "\n" || code === "\r" || code === "\t" || code === "\b") sink.control(code);
      else if (code === "\x1b" || INTRODUCERS.has(bytes[last] ?? "")) {
        const sequence = readSequence(bytes, special, at);
        if (sequence !== "cut") {
          at = sequence.end;
          if (sequence.final !== "") sink.escape(sequence.final, sequence.parameters);
        } else if (bytes.length - special <= LONGEST_HELD) {
          this.#held = bytes.slice(special);
          return;
        } else if (last > special || code === "\x1b") {
          this.#isInString = true;
          return;
        } // else a byte alone that is no UTF-8 opened it: more likely text in another encoding
      }
    }
  }

  /** Nothing is held, so that text can pass by. */
  get isIdle(): boolean {
    return this.#held === "" && !this.#isInString;
  }

  /** The beginning of a character whose rest has not arrived. */
  heldText(): string {
    return /^(?!\xc2[\x80-\x9f])[\xc2-\xf4]/.test(this.#held) ? this.#held : "";
  }

  #skipString(bytes: string, from: number): number {
    const end = endOfString(bytes, from);
    if (end === null) {
      if (bytes.endsWith("\x1b")) this.#held = "\x1b";
      return bytes.length;
    }
    this.#isInString = false;
    return end.isLineEnd ? end.at : end.after;
  }
}

/** The next control character. Those beyond ASCII are two bytes in UTF-8; alone they are only where no character is. */
function indexOfSpecial(bytes: string, from: number): number {
  let before = from > 0 ? bytes.charCodeAt(from - 1) : 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes.charCodeAt(at);
    if (byte < 0x20 || byte === 0x7f) return at;
    if (byte >= 0x80 && byte < 0xa0) {
      if (before === 0xc2) return at - 1;
      if (before < 0x80 && INTRODUCERS.has(bytes[at] ?? "")) return at;
    }
    before = byte;
  }
  return bytes.length;
}

const CSI = "\x9b";
const STRINGS = new Set(["\x90", "\x98", "\x9d", "\x9e", "\x9f"]);
const INTRODUCERS = new Set([CSI, ...STRINGS]);
const STRINGS_AFTER_ESC = new Set(["]", "P", "X", "^", "_"]);

interface Sequence {
  readonly end: number;
  /** "" for a code without effect here. */
  readonly final: string;
  readonly parameters: string;
}

const nothing = (end: number): Sequence => ({ end, final: "", parameters: "" });

/** @param from where the sequence begins @param at behind its first character */
function readSequence(bytes: string, from: number, at: number): Sequence | "cut" {
  const isEsc = bytes[from] === "\x1b";
  const kind = isEsc ? bytes[at] : bytes[at - 1];
  if (kind === undefined) return "cut";
  const body = isEsc ? at + 1 : at;
  if (isEsc ? kind === "[" : kind === CSI) return readControlSequence(bytes, body);
  if (isEsc ? STRINGS_AFTER_ESC.has(kind) : STRINGS.has(kind)) {
    const end = endOfString(bytes, body);
    if (end === null) return "cut";
    return nothing(end.isLineEnd ? body : end.after);
  }
  const other = /[ -/]*(?:([0-~])|($)|)/y;
  other.lastIndex = at;
  const [matched = "", final, cut] = other.exec(bytes) ?? [];
  if (cut !== undefined && matched.length < 16) return "cut";
  const names: Readonly<Record<string, string>> = { "7": "save", "8": "restore", M: "A" };
  return { end: at + matched.length, final: matched.length === 1 ? (names[final ?? ""] ?? "") : "", parameters: "" };
}

function readControlSequence(bytes: string, at: number): Sequence | "cut" {
  const rest = /([0-?]*)[ -/]*(?:([@-~])|($)|)/y;
  rest.lastIndex = at;
  const [matched = "", parameters = "", final, cut] = rest.exec(bytes) ?? [];
  if (cut !== undefined && matched.length < 256) return "cut";
  return { end: at + matched.length, final: final ?? "", parameters };
}

/** Where a string ends: at BEL, at ST, or unfinished at the end of the line or at another escape code; null: not yet. */
function endOfString(bytes: string, from: number): { at: number; after: number; isLineEnd: boolean } | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches
  const end = /\x07|\x1b\\|\x1b(?=.)|\xc2\x9c|(?<![\x80-\xff])\x9c|\n/gs;
  end.lastIndex = from;
  const found = end.exec(bytes);
  if (!found) return null;
  const isLineEnd = found[0] === "\n" || found[0] === "\x1b";
  return { at: found.index, after: found.index + found[0].length, isLineEnd };
}

/** Number of bytes at the end that are the beginning of a UTF-8 character. */
function lengthOfCutCharacter(bytes: string): number {
  const [cut = ""] = /(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})$/.exec(bytes.slice(-3)) ?? [];
  return cut.length;
}

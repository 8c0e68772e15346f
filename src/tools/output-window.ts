import { screenText } from "../shared/plain-text.ts";

/** Kept of a long output: so many bytes and lines of its beginning and of its end. The host cuts at 51,200 and 2,000. */
const HEAD_BYTES = 10_000;
const TAIL_BYTES = 20_000;
const SIDE_LINES = 700;

/** The beginning and the end of an output of any length, in bounded memory. */
export interface OutputWindow {
  push(bytes: Uint8Array): void;
  /** Bytes pushed so far. */
  readonly totalBytes: number;
  /** Everything, or head and tail around a line that says what is missing and where the whole is. */
  render(logPath: string | null): { readonly text: string; readonly cut: boolean };
  /** The newest `lines` lines. */
  tail(lines: number): string;
}

export function createOutputWindow(): OutputWindow {
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  let total = 0;

  return {
    push(bytes) {
      total += bytes.length;
      const room = HEAD_BYTES - head.length;
      if (room > 0) head = Buffer.concat([head, bytes.subarray(0, room)]);
      const rest = room > 0 ? bytes.subarray(room) : bytes;
      if (rest.length === 0) return;
      tail = Buffer.concat([tail, rest.subarray(Math.max(0, rest.length - 2 * TAIL_BYTES))]);
      // Trimmed only when twice too long: a copy per chunk would make small chunks quadratic.
      if (tail.length > 2 * TAIL_BYTES) tail = Buffer.from(tail.subarray(tail.length - TAIL_BYTES));
    },
    get totalBytes() {
      return total;
    },
    render(logPath) {
      const end = tail.subarray(Math.max(0, tail.length - TAIL_BYTES));
      if (total === head.length + end.length) {
        const text = decode(Buffer.concat([head, end]));
        const lines = text.split("\n");
        if (lines.length <= 2 * SIDE_LINES) return { text, cut: false };
        const missing = lines.length - 2 * SIDE_LINES;
        const shown = [...lines.slice(0, SIDE_LINES), notice(`${missing} lines`, logPath), ...lines.slice(-SIDE_LINES)];
        return { text: shown.join("\n"), cut: true };
      }
      const first = firstLines(head, SIDE_LINES);
      const last = lastLines(end, SIDE_LINES);
      const cutBytes = total - first.length - last.length;
      return { text: `${decode(first)}\n${notice(`${cutBytes} bytes`, logPath)}\n${decode(last)}`, cut: true };
    },
    tail(lines) {
      const isWhole = total === head.length + tail.length;
      return decode(isWhole ? Buffer.concat([head, tail]) : tail)
        .trimEnd()
        .split("\n")
        .slice(-lines)
        .join("\n");
    },
  };
}

/** Cut as bytes: what is no text decodes to more bytes than it had, and they would be miscounted. */
function firstLines(bytes: Buffer, lines: number): Buffer {
  let end = -1;
  for (let line = 0; line < lines; line++) {
    end = bytes.indexOf(NEWLINE, end + 1);
    if (end < 0) return bytes;
  }
  return bytes.subarray(0, end);
}

function lastLines(bytes: Buffer, lines: number): Buffer {
  let start = bytes.length;
  for (let line = 0; line < lines; line++) {
    start = start > 0 ? bytes.lastIndexOf(NEWLINE, start - 1) : -1;
    if (start < 0) return bytes;
  }
  return bytes.subarray(start + 1);
}

const NEWLINE = 10;

const notice = (what: string, logPath: string | null): string =>
  `[… ${what} cut${logPath === null ? "" : `; the full output is in ${logPath}`} …]`;

/**
 * Cut characters at the borders become the replacement character; of redrawn lines the last state is shown, and no
 * escape codes: the log has them.
 */
const decode = (bytes: Uint8Array): string => screenText(new TextDecoder().decode(bytes));

import { screenText } from "../shared/plain-text.ts";

/** Kept of a long output, at its beginning and its end. OpenCode itself cuts at 51,200 bytes and 2,000 lines. */
const HEAD_BYTES = 10_000;
const TAIL_BYTES = 20_000;
const SIDE_LINES = 700;

/** Keeps the beginning and the end of an output of any length in bounded memory. */
export interface OutputWindow {
  push(bytes: Uint8Array): void;
  /** Bytes pushed so far. */
  readonly totalBytes: number;
  /** The whole output, or its two ends around a line that says how much is missing and where the full log is. */
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
      // Trimmed only at twice the limit: copying for every small chunk would take quadratic time.
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

/** Cuts bytes, not text: invalid UTF-8 decodes to more bytes than it had, which would be miscounted. */
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
 * Characters cut in half become the replacement character. Redrawn lines show their last state, and escape codes are
 * dropped; the log keeps both.
 */
const decode = (bytes: Uint8Array): string => screenText(new TextDecoder().decode(bytes));

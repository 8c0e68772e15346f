import { Screen } from "./screen/screen.ts";

/** Kept of a long output, at its beginning and its end. OpenCode itself cuts at 51,200 bytes and 2,000 lines. */
const HEAD_BYTES = 10_000;
const TAIL_BYTES = 20_000;
const SIDE_LINES = 700;

/**
 * Keeps the beginning and the end of an output of any length in bounded memory, as a terminal shows it: redrawn lines in their
 * last state, without escape codes.
 */
export interface OutputWindow {
  push(bytes: Uint8Array): void;
  /** Bytes pushed so far. */
  readonly totalBytes: number;
  /** The whole output, or its two ends around a line that says how much is missing and where the full log is. */
  render(logPath: string | null): RenderedOutput;
  /** What is new since the last call. A line that was redrawn meanwhile is new as a whole. */
  take(logPath: string | null): RenderedOutput;
  /** The newest `lines` lines. */
  tail(lines: number): string;
}

export interface RenderedOutput {
  readonly text: string;
  readonly cut: boolean;
}

/** The two ends of an output. The bytes between them are missing unless `total` is the sum of both. */
interface Ends {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly total: number;
}

const NOTHING: Ends = { head: Buffer.alloc(0), tail: Buffer.alloc(0), total: 0 };

export function createOutputWindow(): OutputWindow {
  const screen = new Screen();
  let ends = NOTHING;
  let totalBytes = 0;

  return {
    push(bytes) {
      totalBytes += bytes.length;
      ends = add(ends, screen.push(bytes));
    },
    get totalBytes() {
      return totalBytes;
    },
    render: (logPath) => render(add(ends, screen.shown()), logPath),
    take(logPath) {
      const taken = add(ends, screen.takeShown());
      ends = NOTHING;
      return render(taken, logPath);
    },
    tail(lines) {
      const { head, tail, total } = add(ends, screen.shown());
      const isWhole = total === head.length + tail.length;
      return decode(isWhole ? Buffer.concat([head, tail]) : tail)
        .trimEnd()
        .split("\n")
        .slice(-lines)
        .join("\n");
    },
  };
}

function add({ head, tail, total }: Ends, bytes: Buffer): Ends {
  if (bytes.length === 0) return { head, tail, total };
  const room = Math.max(0, HEAD_BYTES - head.length);
  const rest = bytes.subarray(room);
  const grown =
    rest.length === 0 ? tail : Buffer.concat([tail, rest.subarray(Math.max(0, rest.length - 2 * TAIL_BYTES))]);
  return {
    head: room > 0 ? Buffer.concat([head, bytes.subarray(0, room)]) : head,
    // Trimmed only at twice the limit: copying for every small chunk would take quadratic time.
    tail: grown.length > 2 * TAIL_BYTES ? Buffer.from(grown.subarray(grown.length - TAIL_BYTES)) : grown,
    total: total + bytes.length,
  };
}

function render({ head, tail, total }: Ends, logPath: string | null): RenderedOutput {
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

/** Characters cut in half become the replacement character. */
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/*
 * Files as text, without loss: whatever bytes a file has, the text encodes to the same bytes again. Most text is UTF-8. Text
 * in UTF-16 is known by its byte order mark or its many zero bytes, and other text is taken as Windows-1252, of which Latin-1
 * is a part.
 */

export type TextEncoding = "UTF-8" | "UTF-16LE" | "UTF-16BE" | "Windows-1252";

export interface TextFile {
  readonly encoding: TextEncoding;
  /** Without its byte order mark. A byte that is not UTF-8 is a lone surrogate, `U+DC00` plus the byte. */
  readonly text: string;
  readonly hasMark: boolean;
  /** Bytes of a UTF-8 file that are not UTF-8. */
  readonly invalidBytes: number;
}

const MARK = "\uFEFF";
/** Bytes looked at to tell text from binary data. */
const SAMPLE_BYTES = 64 * 1024;
/** Largest share of control characters in text of each kind. Escape codes are no sign of binary data. */
const CONTROLS_IN_UTF8 = 0.1;
const CONTROLS_IN_OTHERS = 0.02;

/** @returns null for binary data */
export function decodeText(bytes: Uint8Array): TextFile | null {
  const utf16 = decodeUtf16(bytes);
  if (utf16 !== null) return utf16;
  const controls = shareOfControls(bytes);
  const valid = decodeValidUtf8(bytes);
  if (valid !== null) return controls > CONTROLS_IN_UTF8 ? null : unmarked("UTF-8", valid, 0);
  if (controls > CONTROLS_IN_OTHERS || bytes.subarray(0, SAMPLE_BYTES).includes(0)) return null;
  const escaped = decodeUtf8(bytes);
  // A file in another encoding has hardly a sequence that happens to be UTF-8.
  return escaped.sequences > escaped.invalidBytes
    ? unmarked("UTF-8", escaped.text, escaped.invalidBytes)
    : unmarked("Windows-1252", decodeWindows1252(bytes), 0);
}

/** The bytes of `text` in the file's own encoding, or the first character that this encoding lacks. */
export function encodeText(file: TextFile, text: string): { readonly bytes: Uint8Array } | { readonly lacks: string } {
  const marked = file.hasMark ? `${MARK}${text}` : text;
  if (file.encoding === "UTF-16LE") return { bytes: Buffer.from(marked, "utf16le") };
  if (file.encoding === "UTF-16BE") return { bytes: Buffer.from(marked, "utf16le").swap16() };
  if (file.encoding === "Windows-1252") return encodeWindows1252(text);
  return { bytes: file.invalidBytes === 0 ? Buffer.from(marked) : encodeUtf8(marked) };
}

/** The text as it can be shown: bytes that are not UTF-8 become U+FFFD. */
export const shownText = ({ text, invalidBytes }: TextFile): string =>
  invalidBytes === 0 ? text : text.replace(ESCAPED_BYTES, "\uFFFD");

/** Sequences of bytes that are not UTF-8. */
const ESCAPED_BYTES = /(?<![\uD800-\uDBFF])[\uDC80-\uDCFF]/g;

function unmarked(encoding: TextEncoding, text: string, invalidBytes: number): TextFile {
  const hasMark = encoding !== "Windows-1252" && text.startsWith(MARK);
  return { encoding, text: hasMark ? text.slice(1) : text, hasMark, invalidBytes };
}

function decodeUtf16(bytes: Uint8Array): TextFile | null {
  if (bytes.length < 2 || bytes.length % 2 === 1) return null;
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? "UTF-16LE" : first === 0xfe && second === 0xff ? "UTF-16BE" : guessUtf16(bytes);
  if (encoding === null) return null;
  const buffer = Buffer.from(bytes);
  const text = (encoding === "UTF-16LE" ? buffer : buffer.swap16()).toString("utf16le");
  return text.includes("\0") ? null : unmarked(encoding, text, 0);
}

/** Text mostly of ASCII: nearly every second byte is zero, and no other. */
function guessUtf16(bytes: Uint8Array): "UTF-16LE" | "UTF-16BE" | null {
  const zeros: [number, number] = [0, 0];
  const length = Math.min(bytes.length, SAMPLE_BYTES);
  for (let at = 0; at < length; at++) if (bytes[at] === 0) zeros[at % 2 === 0 ? 0 : 1]++;
  const [even, odd] = zeros;
  if (length < 8 || Math.max(even, odd) < 0.35 * length || Math.min(even, odd) > 0) return null;
  return odd > 0 ? "UTF-16LE" : "UTF-16BE";
}

function shareOfControls(bytes: Uint8Array): number {
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  let controls = 0;
  for (const byte of sample) if ((byte < 0x20 && (byte < 8 || byte > 13) && byte !== 0x1b) || byte === 0x7f) controls++;
  return sample.length === 0 ? 0 : controls / sample.length;
}

function decodeValidUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Decodes what is UTF-8, and escapes every other byte as a lone surrogate. */
function decodeUtf8(bytes: Uint8Array): { text: string; sequences: number; invalidBytes: number } {
  const parts: string[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let sequences = 0;
  let invalidBytes = 0;
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length > 1) sequences++;
    if (length === 0) {
      parts.push(buffer.toString("utf8", from, at), String.fromCharCode(0xdc00 + (bytes[at] ?? 0)));
      invalidBytes++;
      from = at + 1;
    }
    at += Math.max(1, length);
  }
  parts.push(buffer.toString("utf8", from));
  return { text: parts.join(""), sequences, invalidBytes };
}

/** Length of the UTF-8 sequence at `at`; 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  for (let next = at + 1; next < at + length; next++) if (((bytes[next] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  const isLegal =
    (first !== 0xe0 || second >= 0xa0) &&
    (first !== 0xed || second < 0xa0) && // surrogates
    (first !== 0xf0 || second >= 0x90) &&
    (first !== 0xf4 || second < 0x90);
  return isLegal ? length : 0;
}

function encodeUtf8(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const { 0: escaped, index } of text.matchAll(ESCAPED_BYTES)) {
    parts.push(Buffer.from(text.slice(from, index)), Uint8Array.of(escaped.charCodeAt(0) - 0xdc00));
    from = index + 1;
  }
  parts.push(Buffer.from(text.slice(from)));
  return Buffer.concat(parts);
}

/** Windows-1252 between 0x80 and 0x9f, where it differs from Latin-1. Undefined bytes stand for themselves. */
const FROM_0X80 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

const decodeWindows1252 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString("latin1")
    .replace(/[\x80-\x9f]/g, (one) => FROM_0X80[one.charCodeAt(0) - 0x80] ?? one);

function encodeWindows1252(text: string): { readonly bytes: Uint8Array } | { readonly lacks: string } {
  const bytes = Buffer.alloc(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const high = code < 0x80 ? -1 : FROM_0X80.indexOf(text.charAt(at));
    if (high < 0 && (code > 0xff || (code >= 0x80 && code < 0xa0))) return { lacks: [...text.slice(at)][0] ?? "" };
    bytes[at] = high < 0 ? code : 0x80 + high;
  }
  return { bytes };
}

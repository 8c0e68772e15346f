import { crc32 } from "node:zlib";

/** What a file is by its first bytes. Names are not looked at: they may say anything. */
export interface FileKind {
  /** For a sentence: "PNG image". */
  readonly name: string;
  /** Set for images that models can see. */
  readonly image?: {
    readonly mime: string;
    readonly width: number;
    readonly height: number;
    readonly isWhole: boolean;
  };
  readonly isPdf?: true;
}

/** @param bytes the whole file, or as much as was read of it. @returns null when they are of no known kind */
export function fileKindOf(bytes: Uint8Array): FileKind | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const parse of [parsePng, parseJpeg, parseGif, parseWebp]) {
    const image = parse(buffer);
    if (image !== null) return image;
  }
  if (startsWith(buffer, "%PDF-")) return { name: "PDF document", isPdf: true };
  const known = SIGNATURES.find(({ bytes: signature, at = 0 }) => startsWith(buffer, signature, at));
  return known ? { name: known.name } : null;
}

const startsWith = (buffer: Buffer, signature: string, at = 0): boolean =>
  buffer.toString("latin1", at, at + signature.length) === signature;

const toImage = (format: string, width: number, height: number, isWhole: boolean): FileKind => ({
  name: `${format} image`,
  image: { mime: `image/${format.toLowerCase()}`, width, height, isWhole: isWhole && width > 0 && height > 0 },
});

function parsePng(buffer: Buffer): FileKind | null {
  if (!startsWith(buffer, "\x89PNG\r\n\x1a\n")) return null;
  if (buffer.length < 24 || !startsWith(buffer, "IHDR", 12)) return toImage("PNG", 0, 0, false);
  return toImage("PNG", buffer.readUInt32BE(16), buffer.readUInt32BE(20), isPngWhole(buffer));
}

/** Walks the chunks with their checksums: a file cut short has no IEND. */
function isPngWhole(buffer: Buffer): boolean {
  for (let at = 8; at + 12 <= buffer.length; ) {
    const end = at + 8 + buffer.readUInt32BE(at);
    if (end + 4 > buffer.length || crc32(buffer.subarray(at + 4, end)) !== buffer.readUInt32BE(end)) return false;
    if (startsWith(buffer, "IEND", at + 4)) return true;
    at = end + 4;
  }
  return false;
}

function parseJpeg(buffer: Buffer): FileKind | null {
  if (!startsWith(buffer, "\xff\xd8\xff")) return null;
  for (let at = 2; at + 9 < buffer.length && buffer[at] === 0xff; ) {
    const marker = buffer[at + 1] ?? 0;
    if (marker === 0xff) {
      at++; // padding
      continue;
    }
    // A frame header, in any of its variants: sequential, progressive, lossless, …
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return toImage("JPEG", buffer.readUInt16BE(at + 7), buffer.readUInt16BE(at + 5), hasJpegEnd(buffer));
    at += 2 + buffer.readUInt16BE(at + 2);
  }
  return toImage("JPEG", 0, 0, false);
}

/** Some programs append data to an image. */
const hasJpegEnd = (buffer: Buffer): boolean => buffer.lastIndexOf(Buffer.of(0xff, 0xd9)) > 0;

function parseGif(buffer: Buffer): FileKind | null {
  if (!startsWith(buffer, "GIF87a") && !startsWith(buffer, "GIF89a")) return null;
  if (buffer.length < 14) return toImage("GIF", 0, 0, false);
  return toImage("GIF", buffer.readUInt16LE(6), buffer.readUInt16LE(8), buffer.lastIndexOf(0x3b) > 13);
}

function parseWebp(buffer: Buffer): FileKind | null {
  if (!startsWith(buffer, "RIFF") || !startsWith(buffer, "WEBP", 8)) return null;
  if (buffer.length < 30) return toImage("WEBP", 0, 0, false);
  const isWhole = buffer.length >= 8 + buffer.readUInt32LE(4);
  if (startsWith(buffer, "VP8X", 12))
    return toImage("WEBP", 1 + buffer.readUIntLE(24, 3), 1 + buffer.readUIntLE(27, 3), isWhole);
  if (startsWith(buffer, "VP8L", 12)) {
    const bits = buffer.readUInt32LE(21);
    return toImage("WEBP", 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff), isWhole);
  }
  return toImage("WEBP", buffer.readUInt16LE(26) & 0x3fff, buffer.readUInt16LE(28) & 0x3fff, isWhole);
}

const SIGNATURES: readonly { readonly bytes: string; readonly at?: number; readonly name: string }[] = [
  { bytes: "\x7fELF", name: "ELF program or library" },
  { bytes: "PK\x03\x04", name: "ZIP archive (also the format of .docx, .xlsx, .jar, .whl, .npz and .pt)" },
  { bytes: "PK\x05\x06", name: "empty ZIP archive" },
  { bytes: "\x1f\x8b", name: "gzip archive" },
  { bytes: "BZh", name: "bzip2 archive" },
  { bytes: "\xfd7zXZ\0", name: "xz archive" },
  { bytes: "\x28\xb5\x2f\xfd", name: "Zstandard archive" },
  { bytes: "7z\xbc\xaf\x27\x1c", name: "7-Zip archive" },
  { bytes: "ustar", at: 257, name: "tar archive" },
  { bytes: "SQLite format 3\0", name: "SQLite database" },
  { bytes: "\x93NUMPY", name: "NumPy array" },
  { bytes: "\x89HDF\r\n\x1a\n", name: "HDF5 file" },
  { bytes: "PAR1", name: "Parquet file" },
  { bytes: "\0asm", name: "WebAssembly module" },
  { bytes: "\xca\xfe\xba\xbe", name: "Java class or macOS program" },
  { bytes: "\xcf\xfa\xed\xfe", name: "macOS program" },
  { bytes: "MZ", name: "Windows program" },
  { bytes: "BM", name: "BMP image" },
  { bytes: "II*\0", name: "TIFF image" },
  { bytes: "MM\0*", name: "TIFF image" },
  { bytes: "\0\0\x01\0", name: "icon" },
  { bytes: "ftypavif", at: 4, name: "AVIF image" },
  { bytes: "ftyphei", at: 4, name: "HEIC image" },
  { bytes: "ftyp", at: 4, name: "MP4 video" },
  { bytes: "\x1aE\xdf\xa3", name: "Matroska or WebM video" },
  { bytes: "RIFF", name: "WAV or AVI file" },
  { bytes: "OggS", name: "Ogg audio" },
  { bytes: "fLaC", name: "FLAC audio" },
  { bytes: "ID3", name: "MP3 audio" },
  { bytes: "wOF", name: "web font" },
  { bytes: "GGUF", name: "GGUF model" },
];

// The artifact: a JSON header (model, parameters, alphabet, section table) and the sections' raw bytes, as one
// brotli stream. Its compressed length is what the cap is about.
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

const MAGIC = "PGOLF1\n";
const TYPES = { u8: Uint8Array, f32: Float32Array };

/** @param {{ model: string, params: object, alphabet: number[], sections: Record<string, ArrayBufferView> }} artifact */
export function pack({ model, params, alphabet, sections }, quality = 11) {
  const table = [];
  const bodies = [];
  for (const [name, array] of Object.entries(sections)) {
    const type = Object.keys(TYPES).find((key) => array instanceof TYPES[key]);
    if (!type) throw new Error(`section "${name}" is neither u8 nor f32`);
    table.push([name, type, array.length]);
    bodies.push(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  }
  const header = Buffer.from(JSON.stringify({ model, params, alphabet, table }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const raw = Buffer.concat([Buffer.from(MAGIC), length, header, ...bodies]);
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
  const params_ = { [BROTLI_PARAM_QUALITY]: quality, [BROTLI_PARAM_LGWIN]: 22, [BROTLI_PARAM_SIZE_HINT]: raw.length };
  return brotliCompressSync(raw, { params: params_ });
}

/** Inverse of `pack`. Throws "the artifact is damaged: …" when the bytes are no such stream. */
export function unpack(bytes) {
  try {
    const raw = brotliDecompressSync(bytes);
    if (raw.subarray(0, MAGIC.length).toString() !== MAGIC) throw new Error("wrong magic");
    let at = MAGIC.length + 4;
    const headerEnd = at + raw.readUInt32LE(MAGIC.length);
    const { model, params, alphabet, table } = JSON.parse(raw.subarray(at, headerEnd).toString());
    at = headerEnd;
    const sections = {};
    for (const [name, type, length] of table) {
      const size = length * TYPES[type].BYTES_PER_ELEMENT;
      if (at + size > raw.length) throw new Error(`section "${name}" is cut short`);
      // A copy, because a float view must begin at a multiple of four.
      sections[name] = new TYPES[type](Uint8Array.from(raw.subarray(at, at + size)).buffer);
      at += size;
    }
    return { model, params, alphabet, sections };
  } catch (cause) {
    throw new Error(`the artifact is damaged: ${cause.message}`, { cause });
  }
}

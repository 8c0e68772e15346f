/** Whether there is no control character besides tab and line feed, and the last character is whole. */
export function isPlain(bytes: Uint8Array): boolean {
  let before = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 ? byte !== 9 && byte !== 10 : byte === 0x7f) return false;
    // Beyond ASCII too: 0xc2 and the control character in UTF-8, or the control character alone.
    if (byte >= 0x80 && byte < 0xa0 && (before === 0xc2 || before < 0x80)) return false;
    before = byte;
  }
  return !endsInCharacter(bytes);
}

function endsInCharacter(bytes: Uint8Array): boolean {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return false;
    if (byte >= 0xc2) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) && byte <= 0xf4;
  }
  return false;
}

/** Where the last `count` lines begin. */
export function startOfLastLines(bytes: Buffer, count: number): number {
  let at = bytes.length;
  for (let line = 0; line < count && at > 0; line++) at = bytes.lastIndexOf(10, at - 1);
  return at + 1;
}

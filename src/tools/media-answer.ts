import type { FileKind } from "../core/file-kind.ts";
import type { ToolAnswer, ToolCall } from "./tool.ts";

/** @source Anthropic and others refuse a request with an image above 5 MB in base64, or above 8,000 pixels on a side */
const MOST_BYTES = 3_750_000;
const MOST_PIXELS = 8_000;

const SHRINK = "Make a smaller copy (ImageMagick: convert in.png -resize 1600x1600 out.png; Python: PIL's thumbnail)";

/** What a model gets of an image or a PDF document: the file itself where it sees such files, and always words. */
export function mediaAnswer(path: string, bytes: Uint8Array, kind: FileKind, call: Pick<ToolCall, "sees">): ToolAnswer {
  const { image } = kind;
  const mime = image?.mime ?? "application/pdf";
  const size = image && image.width > 0 ? ` of ${image.width} × ${image.height} pixels` : "";
  const facts = `${path} is a ${kind.name}${size}, ${bytes.length} bytes.`;
  const problem = whyNotShown(bytes, kind, call);
  const metadata = {
    path,
    mime,
    bytes: bytes.length,
    ...(size !== "" && { width: image?.width, height: image?.height }),
    shown: problem === null,
  };
  if (problem !== null) return { title: path, output: `${facts} It is not shown: ${problem}`, metadata };
  return {
    title: path,
    output: `${facts} It is attached.`,
    metadata,
    attachments: [{ mime, name: path.split("/").at(-1) ?? path, bytes }],
  };
}

function whyNotShown(bytes: Uint8Array, { image }: FileKind, call: Pick<ToolCall, "sees">): string | null {
  const isImage = image !== undefined;
  // Checked first: nothing the job does to the file would help.
  if (call.sees(isImage ? "image" : "pdf") === false)
    return isImage
      ? "your model takes no images. Look at it with programs (Python: PIL), or leave it to whoever reads your result."
      : "your model takes no PDF documents. Read its text with a program (pdftotext, or pypdf in Python).";
  // One image that a server cannot read makes it refuse every later request of the session.
  if (isImage && !image.isWhole) return "it is damaged or cut short. Make it again.";
  if (bytes.length > MOST_BYTES)
    return isImage
      ? `servers take at most ${MOST_BYTES} bytes. ${SHRINK}.`
      : `servers take at most ${MOST_BYTES} bytes. Read its text with a program (pdftotext), or take some of its pages.`;
  if (isImage && Math.max(image.width, image.height) > MOST_PIXELS)
    return `servers take at most ${MOST_PIXELS} pixels on a side. ${SHRINK}.`;
  return null;
}

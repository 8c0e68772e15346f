import type { ImageSource } from "../../core/ports.ts";
import type { HostClient } from "./host-client.ts";

/** An image as it lies in the message of a session: its bytes are in the URL, so nothing is read from this machine. */
export interface AttachedImage {
  readonly mime: string;
  readonly url: string;
  readonly filename?: string;
}

interface HostPart {
  readonly type: string;
  readonly mime?: string;
  readonly url?: string;
  readonly filename?: string | undefined;
}

/** Images per prompt, and characters of their URLs together. */
const MOST = 10; // one digit: their ids end in it
const MOST_CHARACTERS = 30_000_000;

export const NO_IMAGES = { images: [], note: "" } as const;

/** The images among the parts of a message. What names a file or an address is none. */
export const imagesIn = (parts: readonly HostPart[]): AttachedImage[] =>
  parts.flatMap(({ type, mime, url, filename }) =>
    type === "file" && mime !== undefined && /^image\/[\w.+-]+$/.test(mime) && url?.startsWith(`data:${mime};base64,`)
      ? [{ mime, url, ...(filename !== undefined && { filename: filename.split(/[\\/]/).at(-1) ?? "" }) }]
      : [],
  );

/**
 * The images of a message for the prompt of a job.
 * @returns with a note that goes before the prompt where not all of them could be had
 */
export async function readImages(
  client: Pick<HostClient, "session">,
  source: ImageSource,
): Promise<{ readonly images: readonly AttachedImage[]; readonly note: string }> {
  const { data } = await client.session.message({ ...source });
  if (!data) return { images: [], note: note("the images attached to the user's message could not be read any more") };
  const found = imagesIn(data.parts);
  const images: AttachedImage[] = [];
  let room = MOST_CHARACTERS;
  for (const image of found) {
    if (images.length === MOST || image.url.length > room) continue;
    room -= image.url.length;
    images.push(image);
  }
  const missing = found.length - images.length;
  return {
    images,
    note:
      missing === 0
        ? ""
        : note(`${missing} of the images attached to the user's message were left out as too many or too large`),
  };
}

const note = (what: string): string => `[${what}]\n\n`;

/** Knows which messages of the user's have images. Asks OpenCode only where it has not seen the message come. */
export interface ImageMessages {
  /** A message is about to be stored in the user's place. */
  learn(message: { readonly id: string; readonly sessionID: string }, parts: readonly HostPart[]): void;
  /**
   * The user's message that an assistant's message answers, if images are attached to it.
   * @param answered id of that message; null = not known
   */
  answeredBy(answer: ImageSource, answered: string | null): Promise<string | null>;
}

export function createImageMessages(client: Pick<HostClient, "session">): ImageMessages {
  /** The newest message of each session. */
  const newest = new Map<string, { readonly id: string; readonly hasImages: boolean }>();

  async function askAnswered({ sessionID, messageID }: ImageSource): Promise<string | null> {
    const answer = (await client.session.message({ sessionID, messageID })).data?.info;
    return answer?.role === "assistant" ? answer.parentID : null;
  }

  return {
    learn({ id, sessionID }, parts) {
      newest.set(sessionID, { id, hasImages: imagesIn(parts).length > 0 });
    },
    async answeredBy(answer, answered) {
      const { sessionID } = answer;
      const messageID = answered ?? (await askAnswered(answer));
      if (messageID === null) return null;
      const known = newest.get(sessionID);
      if (known?.id === messageID) return known.hasImages ? messageID : null;
      const { data } = await client.session.message({ sessionID, messageID });
      return data && imagesIn(data.parts).length > 0 ? messageID : null;
    },
  };
}

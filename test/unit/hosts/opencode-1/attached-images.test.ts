import { expect, test } from "bun:test";
import { createImageMessages, imagesIn, readImages } from "../../../../src/hosts/opencode-1/attached-images.ts";

const png = (filename = "a.png", bytes = "AAAA") => ({
  type: "file",
  mime: "image/png",
  filename,
  url: `data:image/png;base64,${bytes}`,
});

test("only images whose bytes the message holds are passed on, under the file's own name", () => {
  const others = [
    { type: "text" },
    { ...png(), url: "file:///home/ada/a.png" },
    { ...png(), url: "https://example.org/a.png" },
    { ...png(), url: "data:text/html;base64,AAAA" },
    { ...png(), mime: "text/plain", url: "data:text/plain;base64,AAAA" },
    { ...png(), mime: "image/svg+xml;x", url: "data:image/svg+xml;x;base64,AAAA" },
    { type: "file", mime: "application/pdf", url: "data:application/pdf;base64,AAAA" },
  ];
  expect(imagesIn([...others, png("/home/ada/shots/plot.png")])).toEqual([
    { mime: "image/png", filename: "plot.png", url: "data:image/png;base64,AAAA" },
  ]);
});

const clientWith = (messages: Record<string, unknown>) =>
  ({ session: { message: async ({ messageID }: { messageID: string }) => ({ data: messages[messageID] }) } }) as never;

test("a call answers the user's message with images, if that message has some", async () => {
  const client = clientWith({
    call: { info: { role: "assistant", parentID: "asked" }, parts: [] },
    plain: { info: { role: "assistant", parentID: "text" }, parts: [] },
    asked: { info: { id: "asked" }, parts: [png()] },
    text: { info: { id: "text" }, parts: [{ type: "text" }] },
  });
  const of = (messageID: string) => createImageMessages(client).answeredBy({ sessionID: "s", messageID }, null);
  expect([await of("call"), await of("plain"), await of("asked"), await of("gone")]).toEqual([
    "asked",
    null,
    null,
    null,
  ]);
});

test("OpenCode is not asked for a message that was seen to come", async () => {
  const images = createImageMessages({} as never);
  const answeredBy = (id: string) => images.answeredBy({ sessionID: "s", messageID: "call" }, id);
  images.learn({ id: "asked", sessionID: "s" }, [png()]);
  images.learn({ id: "other", sessionID: "t" }, []);
  expect(await answeredBy("asked")).toBe("asked");
  images.learn({ id: "next", sessionID: "s" }, [{ type: "text" }]);
  expect(await answeredBy("next")).toBeNull();
  await expect(answeredBy("asked")).rejects.toThrow(); // only the newest is known
});

test("a prompt says when images are missing", async () => {
  const many = Array.from({ length: 12 }, () => png());
  const client = clientWith({ many: { parts: many }, large: { parts: [png("l", "A".repeat(31_000_000)), png()] } });
  const read = (messageID: string) => readImages(client, { sessionID: "s", messageID });
  expect((await read("many")).images).toHaveLength(10);
  expect((await read("many")).note).toContain("2 of the images");
  expect((await read("large")).note).toContain("1 of the images");
  expect(await read("gone")).toEqual({ images: [], note: expect.stringContaining("could not be read any more") });
});

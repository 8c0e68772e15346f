import { expect, test } from "bun:test";
import { inWorld, type World } from "../jobs/runtime-world.ts";
import { createFakeProcess } from "./fake-process.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

/** Tools called from inside a job, and its files as bytes. */
async function openJob(world: World) {
  const host = openTools(world);
  const { jobID, sessionID } = await openWorker(world);
  return {
    inside: (name: string, args: unknown) => host.call(name, args, sessionID),
    put: (path: string, bytes: Uint8Array) => world.runtime.lifecycle.live(jobID)?.writeFile(path, bytes),
  };
}

const bytes = (text: string, encoding: BufferEncoding = "utf8") => new Uint8Array(Buffer.from(text, encoding));

test(
  "a file in another encoding is read as text, which is said",
  inWorld(async (world) => {
    const { inside, put } = await openJob(world);
    for (const [file, shown] of [
      [bytes("\uFEFFné\r\nb\r\n", "utf16le"), "1\tné\n2\tb\n[the file: UTF-16LE; lines end with CRLF]"],
      [bytes("plain text\n", "utf16le"), "1\tplain text\n[the file: UTF-16LE]"],
      [bytes("caf\xe9 \x93q\x94\n", "latin1"), "1\tcafé “q”\n[the file: not UTF-8, shown as Windows-1252]"],
      [bytes("\uFEFFa\n"), "1\ta\n[the file: begins with a byte order mark]"],
      [bytes("a\rb\r"), "1\ta\n2\tb\n[the file: lines end with CR]"],
      [bytes("a\r\nb\n"), "1\ta\n2\tb\n[the file: lines end with CRLF or LF]"],
      [Buffer.concat([bytes("größe ö\n"), Uint8Array.of(0xff)]), "1\tgröße ö\n2\t�\n[the file: 1 bytes are not UTF-8"],
      [bytes("50%\r100%\n"), "1\t50%␍100%"],
    ] as const) {
      await put("a", file);
      expect((await inside("sandbox_read", { path: "a" })).output).toStartWith(shown);
    }
  }),
);

test(
  "a binary file is said to be one, with its size and type",
  inWorld(async (world) => {
    const { inside, put } = await openJob(world);
    for (const [file, type] of [
      [bytes("\x7fELF\x02\x01\x01\0\0\xff", "latin1"), "of 10 bytes, by its content: ELF program"],
      [bytes("PK\x03\x04\x14\0\0\0\x08\0", "latin1"), "ZIP archive"],
      [bytes("\x1f\x8b\x08\0\0\0\0\0\0\x03", "latin1"), "gzip archive"],
      [bytes(`${"a\0".repeat(60)}${"\0".repeat(40)}`), "binary file of 160 bytes;"],
      [bytes("SQLite format 3\0\x10\0\x01\x01\0@", "latin1"), "SQLite database"],
    ] as const) {
      await put("a", file);
      const answer = await inside("sandbox_read", { path: "a" });
      expect([errorOf(answer)?.code, answer.output]).toEqual(["file_failed", expect.stringContaining(type)]);
    }
  }),
);

test(
  "a write says which line endings or encoding of the file it changes",
  inWorld(async (world) => {
    const { inside, put } = await openJob(world);
    const write = async (before: Uint8Array, content: string) => {
      await put("a", before);
      return (await inside("sandbox_write", { path: "a", content })).output;
    };
    expect(await write(bytes("a\r\nb\r\n"), "a\nc\n")).toBe(
      "Wrote 4 bytes to a. Its lines ended with CRLF before and now end with LF.",
    );
    expect(await write(bytes("\uFEFFa\n", "utf16le"), "b\n")).toContain("It was UTF-16LE before and is UTF-8 now.");
    expect(await write(bytes("\uFEFFa\n"), "b\n")).toContain("byte order mark");
    for (const content of ["a\r\nb\r\n", "no line end", ""])
      expect(await write(bytes("x\r\n"), content)).toEndWith(" a.");
    expect((await inside("sandbox_write", { path: "new", content: "a\n" })).output).toBe("Wrote 2 bytes to new.");
  }),
);

test(
  "a text of one line that has line breaks written as two characters is written as it is, which is said",
  inWorld(async (world) => {
    const { inside } = await openJob(world);
    const write = async (content: string) => (await inside("sandbox_write", { path: "a", content })).output;
    const said = "is one line, with \\n or \\t as two characters each";
    expect(await write("import os\\nprint(1)\\n")).toContain(`content ${said}`);
    expect((await inside("sandbox_read", { path: "a" })).output).toStartWith("1\timport os\\nprint(1)\\n");
    const edit = { path: "a", old_string: "import os", new_string: "import os\\nimport re\\n" };
    expect((await inside("sandbox_edit", edit)).output).toContain(`new_string ${said}`);
    for (const content of ["print('a\\n')", "a = 'x\\ny\\n'\n", '{"a": "x\\ny\\n"}', "a\nb\n"])
      expect(await write(content)).not.toContain("two characters");
  }),
);

test(
  "a folder that may not be read is refused as such, not listed with what ls says of it",
  inWorld(async (world) => {
    const { inside } = await openJob(world);
    await inside("sandbox_write", { path: "closed/a", content: "" });
    world.machine.onStart = () => {
      const process = createFakeProcess();
      process.end({ kind: "exited", code: 43 });
      return process;
    };
    expect(errorOf(await inside("sandbox_read", { path: "closed" }))?.code).toBe("permission_denied");
  }),
);

import { describe, expect, test } from "bun:test";
import { inWorld } from "../jobs/runtime-world.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

const BOM = "\uFEFF";
const utf16le = (text: string) => new Uint8Array(Buffer.from(`${BOM}${text}`, "utf16le"));
const utf16be = (text: string) => new Uint8Array(Buffer.from(`${BOM}${text}`, "utf16le").swap16());
const latin1 = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

interface Edit {
  readonly file: string | Uint8Array;
  readonly old: string;
  readonly new: string;
  readonly all?: boolean;
}

/** Edits a file in a job's sandbox and gives the answer with the bytes that the file has then. */
async function edit({ file, old, new: replacement, all }: Edit) {
  let text = "";
  let bytes = Buffer.alloc(0);
  let error: ReturnType<typeof errorOf>;
  await inWorld(async (world) => {
    const host = openTools(world);
    const { jobID, sessionID } = await openWorker(world);
    const sandbox = world.runtime.lifecycle.live(jobID);
    await sandbox?.writeFile("a.txt", typeof file === "string" ? new TextEncoder().encode(file) : file);
    const args = { path: "a.txt", old_string: old, new_string: replacement, ...(all && { replace_all: true }) };
    const answer = await host.call("sandbox_edit", args, sessionID);
    text = answer.output;
    error = errorOf(answer);
    bytes = Buffer.from((await sandbox?.readFile("a.txt", { offset: 0, maxBytes: 1e9 })) ?? []);
  })();
  return { output: text, error, bytes, file: bytes.toString() };
}

describe("an edit keeps line endings", () => {
  for (const [name, given, old, replacement, then] of [
    ["two lines given with LF in a CRLF file", "a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n"],
    ["one line that becomes two in a CRLF file", "a\r\nb\r\nc\r\n", "b", "b1\nb2", "a\r\nb1\r\nb2\r\nc\r\n"],
    ["lines given with CRLF in an LF file", "a\nb\nc\n", "a\r\nb", "x\r\ny", "x\ny\nc\n"],
    ["lines given with CRLF in a CRLF file", "a\r\nb\r\nc", "a\r\nb", "x\r\ny", "x\r\ny\r\nc"],
    ["new text with LF for lines given with CRLF", "a\r\nb\r\nc", "a\r\nb", "x\ny", "x\r\ny\r\nc"],
    ["the last line without a line end", "a\r\nb\r\nc", "b\nc", "b\nc\nd", "a\r\nb\r\nc\r\nd"],
    ["a line end added to the last line", "a\r\nb", "b", "b\n", "a\r\nb\r\n"],
    ["a line end removed", "a\r\nb\r\n", "a\n", "a", "ab\r\n"],
    [
      "untouched lines of a file with mixed endings",
      "a\r\nb\nc\r\nd\n",
      "a\nb\nc\nd",
      "A\nb\nc\nD",
      "A\r\nb\nc\r\nD\n",
    ],
    ["lines around an insertion in mixed endings", "a\r\nb\nc\r\n", "a\nb\nc", "a\nnew\nb\nc", "a\r\nnew\r\nb\nc\r\n"],
    ["the ending of the place, not of the file", "a\nb\nc\r\nd\r\n", "a\nb", "x\ny\nz", "x\ny\nz\nc\r\nd\r\n"],
    ["a carriage return inside a line", "p\rq\nb\n", "b", "c\nd", "p\rq\nc\nd\n"],
    ["a file whose lines end with CR alone", "a\rb\rc\r", "a\nb", "x\ny\nz", "x\ry\rz\rc\r"],
    ["a byte order mark", `${BOM}a\r\nb\r\n`, "a\nb", "x\ny", `${BOM}x\r\ny\r\n`],
    ["patterns of replacement as they are", "a\r\nb\r\n", "a\nb", "$& $1 $$\n$`", "$& $1 $$\r\n$`\r\n"],
    ["a blank line between", "a\r\n\r\nb\r\n", "a\n\nb", "a\n\nc", "a\r\n\r\nc\r\n"],
  ] as const)
    test(name, async () => {
      const result = await edit({ file: given, old, new: replacement });
      expect([result.error?.message, result.file]).toEqual([undefined, then]);
    });

  test("at every place of replace_all", async () => {
    const { file, output } = await edit({ file: "a\r\nb\r\na\nb\n", old: "a\nb", new: "x\ny", all: true });
    expect(file).toBe("x\r\ny\r\nx\ny\n");
    expect(output).toContain("2 times");
  });
});

describe("an edit changes nothing", () => {
  for (const [name, request, says] of [
    ["when old and new text are the same", { file: "a\nb\n", old: "a", new: "a" }, "the same"],
    ["when they differ in line endings alone", { file: "a\r\nb\r\n", old: "a\r\nb", new: "a\nb" }, "line endings"],
    ["when old text is empty", { file: "a\n", old: "", new: "b" }, "old_string is empty"],
    ["when the text is there twice", { file: "x\ny\nx\n", old: "x", new: "z" }, "2 times, in lines 1 and 3"],
    ["when it is there twice, overlapping", { file: "aaa\n", old: "aa", new: "b" }, "2 times"],
    ["when it is there with both kinds of ending", { file: "a\r\nb\r\na\nb\n", old: "a\nb", new: "" }, "2 times"],
    ["when only the indentation differs", { file: "if x:\n    go()\n", old: "  go()\n  x", new: "" }, "2: "],
    [
      "when the first and the last line alone are there",
      { file: "f {\n a\n b\n}\n", old: "f {\n c\n}", new: "" },
      "1: ",
    ],
    ["when white space in a line differs", { file: "a  = 1\nb\n", old: "a = 1", new: "a = 2" }, "white space"],
    [
      "when the change was made before",
      { file: "b\n", old: "a", new: "b" },
      "new_string is in line 1: if that is this",
    ],
    [
      "when its line breaks are written as two characters",
      { file: "if x:\n\tgo()\n", old: "if x:\\n\\tgo()", new: "" },
      "old_string has \\n or \\t as two characters each, where the file has line breaks",
    ],
    ["when the text has the line numbers of a reading", { file: "a\nb\n", old: "1\ta\n2\tb", new: "" }, "line number"],
    ["when the file is empty", { file: "", old: "a", new: "b" }, "is empty"],
  ] as const)
    test(name, async () => {
      const { output, error, file } = await edit(request);
      expect([error?.code, output]).toEqual([expect.any(String), expect.stringContaining(says)]);
      expect(file).toBe(request.file);
    });

  for (const [file, made] of [
    ["x = quit\n", "q"],
    ["}\n}\n", "}"],
    ["value10\n", "value1"],
  ] as const)
    test(`when the text is missing, without a word on "${made}", which is not the edit in ${JSON.stringify(file)}`, async () => {
      expect((await edit({ file, old: "missing", new: made })).output).not.toContain("new_string");
    });

  test("when the text is missing, and shows the lines that resemble it most", async () => {
    const lines = Array.from({ length: 400 }, (_, i) => `const value${i} = compute(${i});`);
    const { output } = await edit({
      file: lines.join("\r\n"),
      old: "const value123 = compute(124);\nconst value124 = compute(124);",
      new: "",
    });
    expect(output).toContain("124: const value123 = compute(123);");
    expect(output).toContain("125: const value124 = compute(124);");
  });
});

test("an edit forgives white space at the ends of whole lines where only one place fits, and says so", async () => {
  const { file, output } = await edit({ file: "a  \r\nb\t\r\nc\r\n", old: "a\nb\n", new: "a\nB\n" });
  expect(file).toBe("a  \r\nB\r\nc\r\n");
  expect(output).toContain("white space");
  const twice = await edit({ file: "a \nb\na  \nb\n", old: "a\nb\n", new: "" });
  expect(twice.error?.message).toContain("2 times");
  expect(twice.file).toBe("a \nb\na  \nb\n");
});

describe("an edit keeps a file's encoding", () => {
  test("of UTF-16 with a byte order mark", async () => {
    const le = await edit({ file: utf16le("a\r\nö\r\n"), old: "a\nö", new: "ü\nb\n日" });
    expect(le.bytes.equals(utf16le("ü\r\nb\r\n日\r\n"))).toBe(true);
    const be = await edit({ file: utf16be("a\r\nö\r\n"), old: "a\nö", new: "b" });
    expect(be.bytes.equals(utf16be("b\r\n"))).toBe(true);
  });

  test("of Latin-1, all other bytes unchanged", async () => {
    const { bytes, error } = await edit({
      file: latin1("# café\r\nn = 1\r\n\x93x\x94"),
      old: "é\nn = 1",
      new: "è\nn = 2",
    });
    expect(error).toBeUndefined();
    expect(bytes.equals(latin1("# cafè\r\nn = 2\r\n\x93x\x94"))).toBe(true);
    const refused = await edit({ file: latin1("café\n"), old: "caf", new: "日" });
    expect(refused.error?.message).toContain("日");
    expect(refused.bytes.equals(latin1("café\n"))).toBe(true);
  });

  test("of UTF-8 with a few invalid bytes, which stay", async () => {
    const before = Buffer.concat([Buffer.from("größe é ö\n"), Buffer.from([0xff, 0x0a]), Buffer.from("länge = 1\n")]);
    const { bytes } = await edit({ file: before, old: "länge = 1", new: "länge = ü" });
    expect(bytes.toString("latin1")).toBe(before.toString("latin1").replace("= 1", "= Ã¼"));
  });

  test("and leaves a binary file alone", async () => {
    const binary = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 1, 0x61, 0x62]);
    const { error, bytes } = await edit({ file: binary, old: "ab", new: "cd" });
    expect(error?.message).toContain("binary");
    expect(bytes.equals(binary)).toBe(true);
  });
});

test("two edits of one file at once both take effect", async () => {
  await inWorld(async (world) => {
    const host = openTools(world);
    const { jobID, sessionID } = await openWorker(world);
    const sandbox = world.runtime.lifecycle.live(jobID);
    await sandbox?.writeFile("a.txt", new TextEncoder().encode("one\ntwo\nthree\n"));
    const change = (path: string, old_string: string) =>
      host.call("sandbox_edit", { path, old_string, new_string: old_string.toUpperCase() }, sessionID);
    await Promise.all([change("a.txt", "one"), change("./a.txt", "two"), change("/workspace/a.txt", "three")]);
    const read = (await sandbox?.readFile("a.txt", { offset: 0, maxBytes: 100 })) ?? new Uint8Array();
    expect(new TextDecoder().decode(read)).toBe("ONE\nTWO\nTHREE\n");
  })();
});

// Whatever looks at each line for each line would take hours.
test("an edit of a file of 9 MiB comes to an end, found or not", async () => {
  const big = `${"some line of text, and more of it\r\n".repeat(280_000)}needle\r\nend\r\n`;
  const { file } = await edit({ file: big, old: "needle\nend", new: "x\ny" });
  expect(file.endsWith("it\r\nx\r\ny\r\n")).toBe(true);
  const missing = await edit({ file: big, old: "nadle\nend", new: "x\ny" });
  expect(missing.output).toContain("280001: needle");
});

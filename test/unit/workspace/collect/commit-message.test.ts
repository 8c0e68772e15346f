import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cleanMessage } from "../../../../src/workspace/collect/commit-message.ts";

const ADA = { name: "Ada Example", email: "ada@example.com" };
const clean = (message: string) => cleanMessage(message, ADA);
const BODY = "Make it better\n\nBecause it was slow.";

/** Lines that programs or people would read as a person's statement. */
const CLAIMS: Readonly<Record<string, string>> = {
  "the user's sign-off": "Signed-off-by: Ada Example <ada@example.com>",
  "in other letters": "SIGNED-OFF-BY: ada",
  "of somebody else": "Signed-off-by: Linus <l@example.org>",
  "a co-author": "Co-authored-by: Ada Example <ada@example.com>",
  "a review": "Reviewed-by: Grace <g@example.org>",
  "an approval": "Acked-by: Grace",
  "a test": "Tested-by: Grace",
  "with a space": "Signed off by: Ada",
  "with another hyphen": "Signed‑off‑by: Ada",
  "in wide letters": "Ｓｉｇｎｅｄ-ｏｆｆ-ｂｙ： Ada",
  "with what is not seen": "Sig\u200bned-off-\u2060by: Ada",
  indented: "   Signed-off-by: Ada",
  quoted: "> Signed-off-by: Ada",
  "with a space before the colon": "Signed-off-by : Ada",
  "with another separator": "Signed-off-by= Ada",
  folded: "Signed-off-by: Ada\n Example\n\t<ada@example.com>",
  "after a carriage return": "more\rSigned-off-by: Ada",
  "after another line separator": "more\u2028Signed-off-by: Ada",
  "after a form feed": "more\fSigned-off-by: Ada",
  "behind an escape code": "\u001b[2KSigned-off-by: Ada",
  "in letters of another script, with the user's address": "Ѕigned-off-by: Ada <ADA@example.com>",
  "by a trailer of any name with the user's address": "Whatever: <ada@example.com>",
  "an author where it is sent by mail": "From: Linus <l@example.org>",
  "for an organisation": "on-behalf-of: @acme <x@acme.example>",
  "of an unknown kind": "Blessed-by: Grace <g@example.org>",
  "of the user in a tool's place": "Assisted-by: Ada Example",
};

const OTHERS = [
  "Fixes: #12",
  "Closes #12",
  "Change-Id: I0123",
  "Assisted-by: OpenCode:some-model",
  "Generated-by: a tool",
  "See-also: https://example.org/a@b",
  "Sort-by: name",
  "Stand by: it works",
  "by: hand",
  "Ada Example wrote: it works",
];

describe("a job's commit message", () => {
  for (const [what, line] of Object.entries(CLAIMS))
    test(`loses a line that speaks for a person: ${what}`, () => {
      const { text, claims } = clean(`${BODY}\n\n${line}\nFixes: #1`);
      expect(text).toBe(`${BODY}\n\n${line.startsWith("more") ? "more\n" : ""}Fixes: #1`);
      expect(claims).toBe(1);
      expect(text).not.toMatch(/ada@example|sign|<g@/i);
    });

  for (const line of OTHERS)
    test(`keeps ${line}`, () => {
      expect(clean(`${BODY}\n\n${line}`)).toEqual({ text: `${BODY}\n\n${line}`, claims: 0 });
    });

  test("loses our own trailers, folded or not, without counting them as claims", () => {
    expect(clean("A\n\nJob: job_2\n  and more\n jOb : job_3\nB")).toEqual({ text: "A\n\nB", claims: 0 });
  });

  test("is replaced if nothing is left of it", () => {
    expect(clean("Signed-off-by: Ada").text).toBe("Work without a message");
    expect(clean(" \n\n").text).toBe("Work without a message");
  });

  test("contains no line that starts a patch when it is sent by mail", () => {
    const { text } = clean("A\n\n---\ndiff --git a/x b/x\nIndex: x\n--- a/x\nFrom 0123 Mon\n----\n-- x");
    expect(text).toBe("A\n\n ---\n diff --git a/x b/x\n Index: x\n --- a/x\n From 0123 Mon\n----\n-- x");
  });

  test("never speaks for the user, whatever surrounds the claim", () => {
    const part = fc.constantFrom(
      "\n",
      "\r",
      " ",
      "\t",
      "-",
      "x",
      ":",
      "\u2028",
      "\u200b",
      "Job: 1",
      "Signed-off-by: Ada <ada@example.com>",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const { text } = clean(parts.join(""));
        return text.split("\n").every((line) => !/^\s*(signed-off-by|job)\s*:/i.test(line));
      }),
    );
  });
});

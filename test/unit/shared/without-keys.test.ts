import { expect, test } from "bun:test";
import { withoutKeys } from "../../../src/shared/without-keys.ts";

test.each([
  ["Incorrect API key provided: sk-secret1234567890abcdef.", "Incorrect API key provided: (hidden)."],
  [
    "Incorrect API key provided: sk-proj-****************cdef. You can find",
    "Incorrect API key provided: (hidden). You can find",
  ],
  ["Incorrect API key provided: mykey1234.", "Incorrect API key provided: (hidden)."],
  ["invalid token: 'a1b2c3d4e5'", "invalid token: '(hidden)'"],
  ['{"api_key":"a1b2c3d4e5"}', '{"api_key":"(hidden)"}'],
  ["gsk_abcDEF0123456789 is no key", "(hidden) is no key"],
  ["Authorization: Bearer abc.def-ghi", "Authorization: Bearer (hidden)"],
  ["key AIzaSyA1234567890abcdefghijk", "key (hidden)"],
  ["jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "jwt (hidden)"],
])("hides the key in %j", (text, expected) => {
  expect(withoutKeys(text)).toBe(expected);
});

test.each([
  "No API key: set OPENAI_API_KEY",
  "max tokens: 100000 of 128000",
  "The model gpt-5.2-codex-20250929 does not exist (request req_011CSHoEeqs5C35K2UUqR7Fy)",
  "Could not prompt the session ses_0123456789abcdefghijklmnop",
  "prompt is too long: 210000 tokens > 200000 maximum",
  "see https://platform.openai.com/account/api-keys",
])("leaves %j as it is", (text) => {
  expect(withoutKeys(text)).toBe(text);
});

test("where the key was refused, any word that looks like one is hidden, and names of models are not", () => {
  const text = "a1b2c3d4e5f6a7b8c9d0 may not use claude-sonnet-4-5-20250929";
  expect(withoutKeys(text, true)).toBe("(hidden) may not use claude-sonnet-4-5-20250929");
});

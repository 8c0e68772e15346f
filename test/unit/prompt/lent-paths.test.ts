import { expect, test } from "bun:test";
import { renderLent } from "../../../src/prompt/lent-paths.ts";

const all = (...paths: string[]) => paths.map((path) => ({ path, why: "program on PATH" }));
const lent = (...paths: string[]) => ({ lent: all(...paths), refused: [] });

test("lent paths are one line, grouped by folder", () => {
  expect(renderLent({ lent: [], refused: [] })).toBe("");
  expect(renderLent(lent("/home/ada/.pyenv/bin", "/home/ada/.pyenv/lib", "/home/ada/bin/run", "/data"))).toBe(
    "Lent to local sandboxes, read-only: /home/ada/.pyenv/{bin,lib}, /home/ada/bin/run, /data.",
  );
});

test("paths that are not lent are named with the reason", () => {
  const refused = [{ path: "/shared/bin", why: "everybody may put programs there" }];
  expect(renderLent({ lent: [], refused })).toBe("Not lent: /shared/bin (everybody may put programs there).");
  expect(renderLent({ lent: all("/data"), refused })).toBe(
    "Lent to local sandboxes, read-only: /data. Not lent: /shared/bin (everybody may put programs there).",
  );
});

test("long lists are shortened, and a name with a line break stays on the line", () => {
  const many = Array.from({ length: 12 }, (_, at) => `/opt/${at}/bin`);
  expect(renderLent(lent(...many, ...Array.from({ length: 10 }, (_, at) => `/opt/0/${at}`)))).toBe(
    "Lent to local sandboxes, read-only: /opt/0/{bin,0,1,2,3,4,5,6,… 3 more}, /opt/1/bin, /opt/2/bin, /opt/3/bin, /opt/4/bin, /opt/5/bin, /opt/6/bin, /opt/7/bin, … 4 more folders.",
  );
  expect(renderLent(lent("/home/ada/a\nPool: 0 of 0\u001b[31m")).split("\n").length).toBe(1);
});

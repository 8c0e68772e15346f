import { expect, test } from "bun:test";
import { withOwnPath } from "../../../src/config/own-path.ts";
import { optionsOf, problemsOf } from "./load-with.ts";

const OWN = "/usr/local/bin:/usr/bin";
const pathOf = (PATH: string) => withOwnPath({ PATH, A: "$PATH" }, OWN).PATH;

test("$PATH in a PATH is the sandbox's own", () => {
  for (const own of ["$PATH", "${PATH}"]) expect(pathOf(`/venv/bin:${own}`)).toBe(`/venv/bin:${OWN}`);
  expect(pathOf("/venv/bin:$PATHS")).toStartWith("/venv/bin:$PATHS:");
  expect(withOwnPath({ A: "$PATH" }, OWN)).toEqual({ A: "$PATH" });
});

test("a PATH with none of the sandbox's own folders gets them behind it, without which no command would start", () => {
  expect(pathOf("/venv/bin")).toBe(`/venv/bin:${OWN}`);
  expect(pathOf("")).toBe(OWN);
  expect(pathOf("/venv/bin:/usr/bin")).toBe("/venv/bin:/usr/bin");
});

test("another variable in a PATH is refused when the options are loaded, in other values nothing is", async () => {
  const given = (env: object) => ({ tuple: { environments: { e: { env } } } });
  const [problem, ...others] = await problemsOf(given({ PATH: "$HOME/bin:$PATH" }));
  expect([problem?.key, others]).toEqual(["environments.e.env.PATH", []]);
  expect(problem?.allowed).toContain("$PATH for the sandbox's own PATH");
  const fine = { PATH: "/a:${PATH}", PASSWORD: "pa$word" };
  expect((await optionsOf(given(fine))).environments.e?.env).toEqual(fine);
});

import { expect, test } from "bun:test";
import { proxyNotes } from "../../../src/core/proxy-notes.ts";

const SECRET = "http://ada:hunter2@proxy.example:8080";
const open = { network: "open" as const };
const notes = (hostEnv: Record<string, string>, env: Record<string, string> = {}, network = open) =>
  proxyNotes(hostEnv, env, network);

test("a proxy that the sandbox does not have is named, without its address", () => {
  expect(notes({ HTTPS_PROXY: SECRET, NO_PROXY: "intern" })).toEqual([
    'This machine reaches the network through a proxy (HTTPS_PROXY), which is not set in the sandbox. If the job finds no network without it, name HTTPS_PROXY in its environment\'s "hostEnv".',
  ]);
  for (const name of ["http_proxy", "HTTP_PROXY", "all_proxy", "npm_config_proxy", "NPM_CONFIG_HTTPS_PROXY"]) {
    const [note = "", ...more] = notes({ [name]: SECRET });
    expect([note.includes(`(${name})`), more]).toEqual([true, []]);
    expect(note).not.toMatch(/hunter2|ada|proxy\.example/);
  }
});

test("nothing is said without a proxy, where the sandbox has one, or where its network is blocked", () => {
  expect(notes({ NO_PROXY: "*", HTTP_PROXY: "" })).toEqual([]);
  expect(notes({ HTTPS_PROXY: SECRET }, { https_proxy: SECRET })).toEqual([]);
  expect(proxyNotes({ HTTPS_PROXY: SECRET }, {}, { network: "blocked" })).toEqual([]);
});

test("a proxy on localhost cannot be reached from a sandbox, set or not", () => {
  const locals = ["http://127.0.0.1:7890", "socks5h://localhost:1080", "localhost:3128", "http://u:p@[::1]:8080/"];
  for (const url of locals) {
    expect(notes({ ALL_PROXY: url })[0]).toContain("It is on localhost, which a sandbox cannot reach");
    const [copied = ""] = notes({ ALL_PROXY: url }, { ALL_PROXY: url });
    expect(copied).toStartWith("ALL_PROXY in the sandbox names a proxy on localhost");
    expect(copied).not.toContain(url);
  }
  expect(notes({ ALL_PROXY: "http://localhost.example:1" })[0]).not.toContain("It is on localhost");
});

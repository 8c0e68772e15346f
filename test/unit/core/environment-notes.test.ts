import { describe, expect, test } from "bun:test";
import { newsFor, withBriefing, withTold } from "../../../src/core/briefing.ts";
import { environmentNotes } from "../../../src/core/environment-notes.ts";
import { jobIn } from "../views/job-in.ts";

const notesOf = (network: Parameters<typeof environmentNotes>[0]["network"], runtime: "vm" | null = null) =>
  environmentNotes({ network, runtime });

describe("the notes on an environment", () => {
  test("are none where nothing applies", () => {
    expect(notesOf("open")).toEqual([]);
  });

  test("say what is blocked, and that domains are reached over TLS on port 443 only", () => {
    const blocked = ["The sandbox has no network: its environment blocks it."];
    expect([notesOf("blocked"), notesOf({ domains: [], cidrs: [] })]).toEqual([blocked, blocked]);
    expect(notesOf({ domains: ["pypi.org", "*.hf.co"], cidrs: [] })).toEqual([
      'The sandbox reaches only pypi.org, "*.hf.co" (TLS on port 443 only: HTTPS, but no plain HTTP or SSH): its environment blocks everything else.',
    ]);
    expect(notesOf({ domains: [], cidrs: ["10.0.0.0/8"] })).toEqual([
      "The sandbox reaches only the addresses 10.0.0.0/8 (any port): its environment blocks everything else.",
    ]);
    expect(notesOf({ domains: ["a.io"], cidrs: ["10.0.0.0/8"] })[0]).toMatch(/a\.io \(TLS.* and the addresses 10/);
  });

  test("say that a virtual machine takes Docker", () => {
    expect(notesOf("open", "vm")).toEqual([expect.stringContaining("Docker works")]);
  });
});

test("an agent is told the public address of its port, and the new one once its sandbox is made anew", () => {
  const sandbox = { workdir: "/workspace", home: "/root", notes: [] };
  const ports = (url: string) => [{ port: 8080, url }];
  const briefed = withBriefing(jobIn({ kind: "running" }, { ports: ports("https://a.modal.host") }), sandbox);
  expect(briefed.briefing?.notes).toEqual([
    expect.stringMatching(/Port 8080 is public.*https:\/\/a\.modal\.host.*until this sandbox ends/),
  ]);
  const revived = { ...briefed, ports: ports("https://b.modal.host") };
  const { notes } = newsFor(revived, sandbox);
  expect(notes).toEqual([expect.stringContaining("https://b.modal.host")]);
  expect(newsFor(withTold(revived, notes), sandbox).notes).toEqual([]);
});

import { expect, test } from "bun:test";
import type { Hooks, ToolContext } from "@opencode-ai/plugin";
import { isJoined, join } from "../../../../src/hosts/opencode-1/instances.ts";

/** Hooks of an instance that note what reaches them. */
function hooksOf(name: string, heard: string[]): Hooks {
  const tool = (what: string) => ({
    description: what,
    args: {},
    execute: async () => `${what} in ${name}`,
  });
  return {
    event: async ({ event }) => void heard.push(`${name}: ${event.type}`),
    tool: { sandbox_exec: tool("sandbox_exec"), agents_status: tool("agents_status") },
    config: async () => void heard.push(`${name}: config`),
    dispose: async () => void heard.push(`${name}: dispose`),
  };
}

const project = (worktree: string) => ({ directory: worktree, worktree });
const forJobs = (worktree: string) => ({ directory: `${worktree}/.git`, worktree });
const idle = { event: { type: "session.idle", properties: { sessionID: "ses_1" } } } as const;
const call = (hooks: Hooks, tool: string) => hooks.tool?.[tool]?.execute({}, {} as ToolContext);

test("what happens in the instance for jobs reaches the one that the project has open at that moment", async () => {
  const heard: string[] = [];
  const apart = join(forJobs("/p1"), hooksOf("apart", heard));
  const first = join(project("/p1"), hooksOf("first", heard));
  await apart.event?.(idle);
  expect(await call(apart, "sandbox_exec")).toBe("sandbox_exec in first");
  // OpenCode may have loaded the next instance before it disposes of the one before.
  join(project("/p1"), hooksOf("second", heard));
  await first.dispose?.();
  await apart.event?.(idle);
  expect(await call(apart, "agents_status")).toBe("agents_status in second");
  expect(heard).toEqual(["first: session.idle", "first: dispose", "second: session.idle"]);
});

test("where the project is not open, tools of jobs do nothing and all else is the instance's own", async () => {
  const heard: string[] = [];
  const apart = join(forJobs("/p2"), hooksOf("apart", heard));
  join(project("/p3"), hooksOf("another", heard));
  await apart.event?.(idle);
  expect(heard).toEqual(["apart: session.idle"]);
  await expect(call(apart, "sandbox_exec")).rejects.toThrow("is not open in OpenCode");
  expect(await call(apart, "agents_status")).toBe("agents_status in apart");
});

test("the instance for jobs has the project's configuration without what is for the user's own work", async () => {
  const heard: string[] = [];
  const apart = join(forJobs("/p4"), hooksOf("apart", heard));
  const config = { model: "m", snapshot: true, mcp: { server: { type: "local", command: ["x"] } } } as const;
  const merged: Parameters<NonNullable<Hooks["config"]>>[0] = {
    ...config,
    mcp: { ...config.mcp, server: { ...config.mcp.server, command: ["x"] } },
  };
  await apart.config?.(merged);
  expect(merged).toEqual({
    model: "m",
    snapshot: false,
    mcp: {},
    lsp: false,
    formatter: false,
  });
  expect(heard).toEqual(["apart: config"]);
});

test("the instance for jobs finds the project's skills in the folders that the project names", async () => {
  const apart = join(forJobs("/p7"), hooksOf("apart", []));
  const skills = { paths: ["./skills", "../shared", "/absolute", "~/mine"] };
  await apart.config?.({ skills } as Parameters<NonNullable<Hooks["config"]>>[0]);
  expect(skills.paths).toEqual(["/p7/skills", "/shared", "/absolute", "~/mine"]);
});

test("an instance counts as joined once it hears of events, until it is disposed of; a folder of that name elsewhere is none for jobs", async () => {
  const apart = join(forJobs("/p5"), hooksOf("apart", []));
  join({ directory: "/p6/.git", worktree: "/p6/.git" }, hooksOf("bare", []));
  expect(isJoined("/p5/.git")).toBe(false);
  await apart.event?.(idle);
  expect([isJoined("/p5/.git"), isJoined("/p6/.git"), isJoined("/p5")]).toEqual([true, false, false]);
  await apart.dispose?.();
  expect(isJoined("/p5/.git")).toBe(false);
});

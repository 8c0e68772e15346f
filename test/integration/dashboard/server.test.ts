import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { AUTHORIZED, JSON_BODY, startDashboard, TOKEN } from "../../support/dashboard.ts";
import { sampleJob } from "../../support/sample-lab.ts";
import { within } from "../../support/wait.ts";

test("every address is behind the token, the host and the origin", async () => {
  await using server = await startDashboard();
  const { ask, port } = server;
  for (const path of [
    "/",
    "/events",
    "/jobs/job_1",
    "/output/job_1",
    "/series/job_1",
    "/ledger",
    "/actions/cancel",
    "/no/such",
  ]) {
    for (const method of ["GET", "POST", "PUT", "OPTIONS", "DELETE"]) {
      const status = async (token: string, headers = {}) => (await ask(`${path}${token}`, headers, method)).status;
      expect({ path, method, status: await status("") }).toEqual({ path, method, status: 401 });
      expect(await status("?token=wrong", {})).toBe(401);
      expect(await status("", { authorization: "Bearer wrong" })).toBe(401);
      expect(await status(`?token=${TOKEN}`, { host: `evil.example:${port}` })).toBe(403);
      expect(await status(`?token=${TOKEN}`, { origin: "http://evil.example" })).toBe(403);
      expect(await status(`?token=${TOKEN}`, { origin: `http://127.0.0.1:${port + 1}` })).toBe(403);
    }
  }
  expect(server.lab.asked).toEqual([]);
});

test("it listens on the loopback address alone, and sends nothing that a browser would keep, frame or share", async () => {
  await using server = await startDashboard();
  const page = await server.ask(`/?token=${TOKEN}`);
  expect(page.status).toBe(200);
  expect(page.headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'sha256-[^ ]+'; style-src/);
  expect(page.text).not.toContain(TOKEN);
  for (const { headers } of [page, await server.ask("/"), await server.ask("/jobs/job_1", AUTHORIZED)]) {
    expect(headers["set-cookie"]).toBeUndefined();
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    expect(headers["cache-control"]).toBe("no-store");
    expect(headers["x-frame-options"]).toBe("DENY");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
  }
  const other = connect(server.port, "127.0.0.2");
  const [error] = (await once(other, "error").catch((refused) => [refused])) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
});

test("an address that names another host or leaves the folder is nothing to the server", async () => {
  await using server = await startDashboard();
  for (const path of ["//evil.example/events", "/jobs/../../etc/passwd", "/jobs/", "/jobs/%2e%2e%2fx"])
    expect({ path, status: (await server.ask(path, AUTHORIZED)).status }).toEqual({ path, status: 404 });
});

test("the stream has the whole state first, then each change, for as long as the page is there", async () => {
  await using server = await startDashboard();
  const response = await server.open(`/events?token=${TOKEN}`);
  expect(response.headers["content-type"]).toStartWith("text/event-stream");
  let text = "";
  const next = async (event: string) => {
    const pattern = new RegExp(`event: ${event}\ndata: ([^\n]*)\n\n`);
    while (!pattern.test(text)) text += (await once(response, "data"))[0];
    const [found, data] = pattern.exec(text) as unknown as [string, string];
    text = text.slice(text.indexOf(found) + found.length);
    return JSON.parse(data);
  };
  expect((await next("state")).jobs).toEqual([expect.objectContaining({ id: "job_1", state: "running" })]);
  const hostile = "a\n\nevent: state\ndata: {}\n\n\u2028<script>alert(1)</script>";
  server.lab.change("ses_1", { jobs: [sampleJob("job_1", { state: "failed", status: hostile })] });
  expect(await next("change")).toEqual({ jobs: [expect.objectContaining({ state: "failed", status: hostile })] });
  expect([...server.lab.watched]).toEqual(["ses_1"]);
  response.destroy();
  for (let n = 0; n < 100 && server.lab.watched.size > 0; n++) await server.ask("/ledger", AUTHORIZED);
  expect(server.lab.watched.size).toBe(0);
});

test("details, series and the ledger are told whatever metrics are called", async () => {
  await using server = await startDashboard();
  server.lab.change("ses_1", { jobs: [sampleJob("job_1", { result: "the result" })] });
  const point = { value: "NaN", report: 3, at: 0, source: "output" } as const;
  server.lab.metrics.set("job_1", new Map([["__proto__", { points: [point], reports: 3, stride: 1 }]]));
  expect(JSON.parse((await server.ask("/jobs/job_1", AUTHORIZED)).text)).toEqual({
    job: expect.objectContaining({ id: "job_1", result: "the result" }),
    snapshots: [],
    work: { kind: "none", why: "Nothing is kept." },
  });
  expect(JSON.parse((await server.ask("/series/job_1", AUTHORIZED)).text)).toEqual({
    job: "job_1",
    series: [{ metric: "__proto__", reports: 3, notFinite: { NaN: 1 }, points: [{ at: 3, value: "NaN" }] }],
  });
  expect((await server.ask("/ledger?metric=loss", AUTHORIZED)).text).toBe('{"ledger":null}');
  server.lab.answer = ({ kind }) => ({ kind: "done", text: `${kind} of it` });
  expect((await server.ask("/output/job_1", AUTHORIZED)).text).toBe('{"kind":"done","text":"output of it"}');
  for (const path of ["/jobs/job_2", "/series/__proto__", "/jobs/job_1/x"])
    expect((await server.ask(path, AUTHORIZED)).status).toBe(404);
});

test("an action is asked of the process that runs the jobs, and its answer or refusal told", async () => {
  await using server = await startDashboard();
  const act = async (name: string, body: unknown) => {
    const { status, text } = await server.ask(`/actions/${name}`, JSON_BODY, "POST", JSON.stringify(body));
    return { status, ...JSON.parse(text) };
  };
  expect(await act("cancel", { jobs: ["job_1"] })).toEqual({ status: 200, kind: "done", text: "Done." });
  await act("message", { job: "job_1", message: "Go on." });
  await act("collect", { job: "job_1" });
  expect(server.lab.asked.map(({ request }) => request)).toEqual([
    { kind: "cancel", jobs: ["job_1"] },
    { kind: "message", job: "job_1", text: "Go on." },
    { kind: "collect", job: "job_1", mode: "branch" },
  ]);
  server.lab.answer = () => ({ kind: "refused", code: "not_found", message: "No OpenCode process has it in use." });
  expect(await act("cancel", { jobs: ["job_1"] })).toEqual({
    status: 409,
    kind: "refused",
    code: "not_found",
    message: "No OpenCode process has it in use.",
  });
});

test("what is no action is refused before anything is asked", async () => {
  await using server = await startDashboard();
  const post = async (path: string, headers: Record<string, string>, body: string) =>
    (await server.ask(path, headers, "POST", body)).status;
  for (const body of ["", "[]", "null", "{", '{"jobs":[]}', '{"jobs":"job_1"}', '{"jobs":[{}]}', '{"jobs":["../x"]}'])
    expect({ body, status: await post("/actions/cancel", JSON_BODY, body) }).toEqual({ body, status: 400 });
  for (const body of ["{}", '{"job":"job_1","message":" "}', '{"job":1,"message":"x"}'])
    expect(await post("/actions/message", JSON_BODY, body)).toBe(400);
  expect(await post("/actions/collect", JSON_BODY, '{"job":"job_1","mode":"into"}')).toBe(400);
  const form = { ...AUTHORIZED, "content-type": "application/x-www-form-urlencoded" };
  expect(await post("/actions/cancel", form, '{"jobs":["job_1"]}')).toBe(415);
  expect(await post("/actions/snapshot", JSON_BODY, '{"job":"job_1"}')).toBe(404);
  expect((await server.ask("/actions/cancel", JSON_BODY)).status).toBe(405);
  expect((await server.ask("/jobs/job_1", JSON_BODY, "POST", "{}")).status).toBe(405);
  expect(await post("/actions/message", JSON_BODY, "x".repeat(300_000)).catch(() => 413)).toBe(413);
  expect(server.lab.asked).toEqual([]);
});

test("it ends where pages are open, and they learn of it", async () => {
  await using server = await startDashboard();
  const pages = await Promise.all([1, 2].map(() => server.open(`/events?token=${TOKEN}`)));
  const ends = pages.map((page) => once(page.resume(), "end"));
  await within(server.dashboard.close(), 5_000, "the dashboard is closed");
  await within(Promise.all(ends), 5_000, "the streams have ended");
  expect(server.lab.watched.size).toBe(0);
});

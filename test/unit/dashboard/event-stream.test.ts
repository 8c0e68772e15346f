import { expect, test } from "bun:test";
import { EventStream } from "../../../src/dashboard/server/event-stream.ts";
import { toParts } from "../../../src/dashboard/server/parts.ts";
import { SessionFeeds } from "../../../src/dashboard/server/session-feed.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { createSampleLab, sampleJob, sampleView } from "../../support/sample-lab.ts";

function setUp() {
  const clock = createFakeClock();
  const written: string[] = [];
  const page = { isSlow: false, isCut: false, drain: () => {} };
  const stream = new EventStream(
    {
      write: (text) => {
        written.push(text);
        return !page.isSlow;
      },
      onDrain: (listener) => {
        page.drain = listener;
      },
      cut: () => {
        page.isCut = true;
      },
    },
    clock,
  );
  const update = (status: string) =>
    stream.update(toParts(sampleView("ses_1", [sampleJob("job_1", { status })]), [], ""));
  return { clock, written, page, stream, update };
}

test("a slow page costs nothing: what happens meanwhile is one event later", () => {
  const { written, page, update } = setUp();
  page.isSlow = true;
  update("0");
  for (let n = 1; n <= 1000; n++) update(String(n));
  expect(written).toHaveLength(1);
  page.isSlow = false;
  page.drain();
  expect(written).toHaveLength(2);
  expect(written[1]).toStartWith("event: change\ndata: ");
  expect(written[1]).toContain('"status":"1000"');
});

test("a quiet stream shows that it lives, and a page that takes nothing for a minute is cut off", async () => {
  const { clock, written, page, update, stream } = setUp();
  update("0");
  await clock.advance(25_000);
  expect(written.slice(1)).toEqual([": still here\n\n", ": still here\n\n"]);
  page.isSlow = true;
  await clock.advance(10_000);
  expect(page.isCut).toBe(false);
  await clock.advance(60_000);
  expect(page.isCut).toBe(true);
  stream.close();
  expect(clock.pending()).toBe(0);
});

test("a session is watched while a page shows it, once for all pages", async () => {
  const clock = createFakeClock();
  const lab = createSampleLab(sampleView("ses_1", [sampleJob("job_1")]));
  const feeds = new SessionFeeds(lab, clock);
  const seen: number[] = [];
  const stops = [0, 1].map((page) => feeds.follow("ses_1", ({ jobs }) => seen.push(10 * page + jobs.size)));
  expect([...lab.watched]).toEqual(["ses_1"]);
  lab.change("ses_1", { jobs: [sampleJob("job_1"), sampleJob("job_2")] });
  expect(seen).toEqual([1, 11, 2, 12]);
  for (const stop of stops) stop();
  expect([lab.watched.size, clock.pending()]).toEqual([0, 0]);
});

test("a page that was opened before any job shows the first session by itself", async () => {
  const clock = createFakeClock();
  const lab = createSampleLab();
  const seen: string[] = [];
  new SessionFeeds(lab, clock).follow(null, ({ fields }) => seen.push(fields.get("sessions") ?? ""));
  lab.views.set("ses_1", sampleView("ses_1", []));
  await clock.advance(3_000);
  expect(seen[0]).toBe("[]");
  expect(seen.at(-1)).toContain("ses_1");
});

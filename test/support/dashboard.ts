import { type IncomingMessage, request } from "node:http";
import { toPage } from "../../src/dashboard/server/page-file.ts";
import { type DashboardOptions, serveDashboard } from "../../src/dashboard/server/server.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { createSampleLab, sampleJob, sampleView } from "./sample-lab.ts";

export const TOKEN = "Tok3nOfTests";

export async function startDashboard(more: Partial<DashboardOptions> = {}) {
  const lab = createSampleLab(sampleView("ses_1", [sampleJob("job_1")]));
  const dashboard = await serveDashboard({
    lab,
    clock: systemClock,
    session: null,
    port: 0,
    token: TOKEN,
    page: toPage("<!doctype html><title>Page</title><script>1</script>"),
    readWork: async () => ({ kind: "none", why: "Nothing is kept." }),
    ...more,
  });
  const { port } = dashboard;
  const open = (path: string, headers: Record<string, string> = {}, method = "GET", body = "") =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port, path, method, headers }, resolve);
      asked.on("error", reject);
      asked.end(body);
    });
  const ask = async (path: string, headers?: Record<string, string>, method?: string, body?: string) => {
    const response = await open(path, headers, method, body);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() };
  };
  return { lab, dashboard, port, open, ask, [Symbol.asyncDispose]: () => dashboard.close() };
}

export const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };
export const JSON_BODY = { ...AUTHORIZED, "content-type": "application/json" };

import { expect } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";

const PASSWORD = "p4ssw0rd-of-the-server";

/** Reaches the model, which stands for the internet, and refuses everything else, as the proxy of a company does. */
async function startProxy() {
  const seen: { url: string; authorization: string | undefined }[] = [];
  const state = { reachable: "" };
  const proxy = createServer(async (request, response) => {
    const { url = "", headers, method = "GET" } = request;
    seen.push({ url, authorization: headers.authorization });
    if (!url.startsWith(state.reachable)) return response.writeHead(403).end("<html>denied</html>");
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    const type = { "content-type": "application/json" };
    const answer = await fetch(url, { method, headers: type, body });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    seen,
    reaches(url: string) {
      state.reachable = url;
    },
    stop() {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

sandboxTest(
  "on a server with a password and behind a proxy, jobs run and neither of them gets the password",
  async () => {
    const proxy = await startProxy();
    const setup = await startSetup({}, { env: { HTTP_PROXY: proxy.url, OPENCODE_SERVER_PASSWORD: PASSWORD } });
    try {
      const { server, model } = setup;
      proxy.reaches(model.url);
      const session = await server.createSession();
      const [, waited] = await turn(server, session.id, start(task("looks", shell("env"), say("fine"))), wait());
      const [job] = waited?.metadata.finished ?? [];
      expect(job).toMatchObject({ state: "completed", result: "fine" });
      const [variables] = await outputsOf(server, job, "sandbox_exec");
      expect(variables).toContain("HOME=");
      expect(variables).not.toContain(PASSWORD);
      expect(proxy.seen.length).toBeGreaterThan(0); // what the user's provider is asked goes where the user wants it
      expect(proxy.seen.filter(({ url }) => !url.startsWith(model.url))).toEqual([]);
      expect(proxy.seen.filter(({ authorization }) => authorization?.startsWith("Basic"))).toEqual([]);
      expect(model.errors).toEqual([]);
    } finally {
      await setup.stop();
      proxy.stop();
    }
  },
);

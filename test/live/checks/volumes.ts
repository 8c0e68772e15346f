import { failureOf, type LiveCheck, SMALL } from "../live-check.ts";

const LIFETIME_S = 600;

export const volumes: LiveCheck = {
  name: "volume reload",
  assumes:
    "what one sandbox commits with sync another sees after a reload, and a reload is refused while a file is open",
  usedBy: [
    "src/sandboxes/modal/reload-volumes.ts",
    "src/sandboxes/modal/mount-notes.ts",
    "skills/parameter-golf/scripts/get_data.sh",
  ],
  plan: [{ size: SMALL, count: 2, lifetimeS: LIFETIME_S }],
  async run(live) {
    const volume = await live.volume();
    const image = await live.image();
    const mounted = { volumes: { "/vol": volume } };
    const [writer, reader] = await Promise.all([
      live.create(SMALL, LIFETIME_S, image, mounted),
      live.create(SMALL, LIFETIME_S, image, mounted),
    ]);
    const read = async () => (await live.run(reader, "cat /vol/file 2>/dev/null || echo nothing")).stdout.trim();
    const before = await read();
    await live.run(writer, "echo one > /vol/file && sync /vol");
    const unreloaded = await read();
    const reload = await failureOf(() => reader.reloadVolumes());
    const reloaded = await read();
    const holding = await reader.exec(["sh", "-c", "exec 3</vol/file; sleep 60"], { timeoutMs: 60_000 });
    await live.run(writer, "echo two > /vol/file && sync /vol");
    const busy = await failureOf(() => reader.reloadVolumes());
    await live.run(
      reader,
      'for fd in /proc/[0-9]*/fd/3; do [ "$(readlink $fd)" = /vol/file ] && kill $(echo $fd | cut -d/ -f3); done; true',
    );
    void holding;
    await Promise.all([writer.terminate(), reader.terminate()]);
    return {
      verdict: reload === null && reloaded === "one" ? "as assumed" : "different",
      found: `a running sandbox reads "${before}", after another's sync "${unreloaded}", after a reload (${reload ?? "accepted"}) "${reloaded}"; a reload with an open file is ${busy === null ? "accepted" : `refused: ${busy}`}`,
    };
  },
};

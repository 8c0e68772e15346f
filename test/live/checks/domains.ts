import { failureOf, type Live, type LiveCheck, SMALL } from "../live-check.ts";

const LIFETIME_S = 300;
const ALLOWED = "example.com";
const TARGETS = [
  ["the allowed domain over TLS", `https://${ALLOWED}/`],
  ["the allowed domain without TLS", `http://${ALLOWED}/`],
  ["a domain under it", `https://www.${ALLOWED}/`],
  ["another domain", "https://www.wikipedia.org/"],
  ["an address", "https://1.1.1.1/"],
] as const;

/** An answer of any kind means that the address was reached. */
const REACH = `
import sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        urllib.request.urlopen(url, timeout=10)
        print("reached")
    except urllib.error.HTTPError:
        print("reached")
    except Exception as error:
        print("not reached,", type(getattr(error, "reason", error)).__name__)
`;

export const domains: LiveCheck = {
  name: "domain rules",
  assumes: "a list of domains passes TLS to these domains and nothing else",
  usedBy: ["src/sandboxes/modal/create-params.ts", "docs/threat-model.md"],
  plan: [{ size: SMALL, count: 2, lifetimeS: LIFETIME_S }],
  async run(live) {
    const image = await live.image();
    const [open, ruled] = await Promise.all([
      reach(live, await live.create(SMALL, LIFETIME_S, image)),
      live
        .create(SMALL, LIFETIME_S, image, { outboundDomainAllowlist: [ALLOWED], outboundCidrAllowlist: [] })
        .then((sandbox) => reach(live, sandbox)),
    ]);
    const said = TARGETS.map(([what], at) => `${what}: ${ruled[at] ?? "no answer"}`).join("; ");
    const reached = ruled.map((answer) => answer === "reached");
    const control = open.filter((answer) => answer === "reached").length;
    const verdict = control === 0 ? "not shown" : reached[0] && !reached[3] && !reached[4] ? "as assumed" : "different";
    return { verdict, found: `${said} (without rules ${control} of ${TARGETS.length} are reached)` };
  },
};

async function reach(live: Live, sandbox: Awaited<ReturnType<Live["create"]>>): Promise<string[]> {
  const urls = TARGETS.map(([, url]) => url).join(" ");
  const { stdout } = await live.run(sandbox, `python3 - ${urls} <<'PY'${REACH}PY`, 90);
  await failureOf(() => sandbox.terminate());
  return stdout.trim().split("\n").filter(Boolean);
}

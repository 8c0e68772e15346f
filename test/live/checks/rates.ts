import { tableOf } from "../../../src/config/prices.ts";
import { failureOf, type Live, type LiveCheck, seconds, TINY } from "../live-check.ts";

const LIFETIME_S = 60;

export const rates: LiveCheck = {
  name: "rates",
  assumes:
    "about five creations a second are allowed, with a burst on top, and more are refused with RESOURCE_EXHAUSTED",
  usedBy: ["src/sandboxes/modal/status-meaning.ts", "src/config/schema.ts", "src/config/prices.ts"],
  plan: [{ size: TINY, count: 40, lifetimeS: LIFETIME_S }],
  async run(live) {
    const image = await live.image();
    const { creations } = live.scale;
    const from = live.now();
    const times: number[] = [];
    const failures = await Promise.all(
      Array.from({ length: creations }, () =>
        failureOf(async () => {
          const sandbox = await live.create(TINY, LIFETIME_S, image);
          times.push(live.now() - from);
          await sandbox.terminate();
        }),
      ),
    );
    const prices = await pricesFound(live);
    const refused = failures.filter((failure) => failure !== null);
    const [first, last] = [Math.min(...times), Math.max(...times)];
    // The workspace's own limit is not searched for: reaching it would stop the user's other sandboxes.
    return {
      verdict:
        refused.length === 0 ? "not shown" : refused.every((one) => / 8:/.test(one)) ? "as assumed" : "different",
      found: `of ${creations} creations at once ${times.length} were accepted, the first after ${seconds(first)}, the last after ${seconds(last)}${refused.length === 0 ? "; none was refused, and more are not tried, as they would hold up your other sandboxes" : `; refused: ${refused[0]}`}. ${prices}`,
    };
  },
};

/** How the account's prices differ from the built-in table. */
async function pricesFound({ provider }: Live): Promise<string> {
  const own = await provider.prices?.().catch(() => null);
  if (!own) return "The account's prices are not told";
  const table = tableOf("modal");
  const pairs: [string, number | undefined, number | undefined][] = [
    ["cpuCore", own.cpuCore, table.cpuCore],
    ["memoryGiB", own.memoryGiB, table.memoryGiB],
    ...Object.entries(own.gpus).map(([type, price]): [string, number, number | undefined] => [
      type,
      price,
      table.gpus[type],
    ]),
  ];
  const other = pairs.filter(
    ([, price, known]) => price !== undefined && Math.abs(price - (known ?? 0)) > 0.01 * price,
  );
  const list = other.map(([what, price, known]) => `${what} ${price} (table: ${known ?? "none"})`).join(", ");
  return `The account has ${pairs.length} prices${list === "" ? ", all as in the table" : `, other than in the table: ${list}`}`;
}

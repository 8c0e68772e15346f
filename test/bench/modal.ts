import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalServerProcess } from "../support/modal-server/own-process.ts";
import { adapterSide, type BenchSandbox, rawSide, type Side } from "./modal-sides.ts";
import { alternate, report, timed } from "./stats.ts";

const MIB = 1024 * 1024;
const FORKS = 16;

/** Times the Modal adapter and the SDK alone, on the tests' Modal server in a process of its own. */
export async function benchModal(rounds: number): Promise<void> {
  if (!canIsolate()) return console.log("Modal: skipped, the tests' server plays sandboxes with bubblewrap only\n");
  const server = await startModalServerProcess();
  Object.assign(process.env, server.env); // the SDK reads nothing else
  const sides: readonly [Side, Side] = [adapterSide(server), await rawSide(server)];
  try {
    await benchCreate(sides, rounds);
    const sandboxes = await both(sides, (side) => side.create());
    await benchInside(sandboxes, rounds);
    await benchForks(sides, sandboxes, Math.ceil(rounds / 3));
    await both(sandboxes, (sandbox) => sandbox.end());
  } finally {
    await both(sides, (side) => side.close());
    await server.stop();
  }
}

async function benchCreate(sides: readonly [Side, Side], rounds: number): Promise<void> {
  const create = async (side: Side) => {
    let sandbox: BenchSandbox | null = null;
    const ms = await timed(async () => (sandbox = await side.create()));
    await (sandbox as BenchSandbox | null)?.end();
    return ms;
  };
  await compare("Modal: a sandbox, its first command included", sides, 2 * rounds, create);
}

async function benchInside(sandboxes: readonly [BenchSandbox, BenchSandbox], rounds: number): Promise<void> {
  const measure = (title: string, count: number, work: (sandbox: BenchSandbox) => Promise<unknown>) =>
    compare(`Modal: ${title}`, sandboxes, count, (sandbox) => timed(() => work(sandbox)));
  await measure("a command that prints one word", 6 * rounds, async (sandbox) =>
    expectLength(await sandbox.run("echo done"), 5),
  );
  const small = new Uint8Array(1024).fill(1);
  const large = new Uint8Array(50 * MIB).map((_, at) => at % 251);
  const few = Math.ceil(rounds / 2);
  for (const [name, bytes, count] of [["1 KB", small, 4 * rounds] as const, ["50 MiB", large, few] as const]) {
    await measure(`writing a file of ${name}`, count, (sandbox) => sandbox.write("/workspace/file", bytes));
    for (const [by, way] of [["", "read"] as const, [", the SDK by a command too", "cat"] as const])
      await measure(`reading a file of ${name}${by}`, count, async (sandbox) =>
        expectLength((await sandbox[way]("/workspace/file", 100 * MIB)).length, bytes.length),
      );
  }
  await measure("a command that writes 100 MiB", few, async (sandbox) =>
    expectLength(await sandbox.run(`head -c ${100 * MIB} /dev/zero`), 100 * MIB),
  );
  await measure("a snapshot", rounds, (sandbox) => sandbox.snapshot());
}

async function benchForks(
  sides: readonly [Side, Side],
  sandboxes: readonly [BenchSandbox, BenchSandbox],
  rounds: number,
): Promise<void> {
  const snapshots = await both(sandboxes, (sandbox) => sandbox.snapshot());
  const fork = async (which: 0 | 1) => {
    let forks: BenchSandbox[] = [];
    const ms = await timed(async () => {
      forks = await Promise.all(Array.from({ length: FORKS }, () => sides[which].create(snapshots[which])));
    });
    await Promise.all(forks.map((sandbox) => sandbox.end()));
    return ms;
  };
  await compare(`Modal: ${FORKS} forks of a snapshot at once`, [0, 1] as const, rounds, fork);
}

async function compare<T>(
  title: string,
  [adapter, raw]: readonly [T, T],
  rounds: number,
  measure: (subject: T) => Promise<number>,
): Promise<void> {
  await measure(adapter);
  await measure(raw);
  const [ours, theirs] = await alternate(
    rounds,
    () => measure(adapter),
    () => measure(raw),
  );
  report(title, { name: "the adapter", samples: ours }, { name: "the SDK alone", samples: theirs });
}

const both = async <T, U>([one, other]: readonly [T, T], work: (each: T) => Promise<U>): Promise<[U, U]> => [
  await work(one),
  await work(other),
];

function expectLength(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} bytes where ${wanted} were expected`);
}

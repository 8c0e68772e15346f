/** What the tests have open: processes, servers, throw-away homes. A test that leaves something fails, and the thing is ended. */
interface Entry {
  readonly name: string;
  readonly end: (() => void) | undefined;
}

const open = new Map<string, Entry>();
const belongsToFile = new Set<string>(); // opened before the running test: a beforeAll of its file closes it in afterAll

/** @param end ends it at once and synchronously; called only when nobody closed it */
export function opened(kind: string, id: string, end?: () => void): void {
  open.set(`${kind} ${id}`, { name: `${kind} ${id}`, end });
}

export function closed(kind: string, id: string): void {
  open.delete(`${kind} ${id}`);
  belongsToFile.delete(`${kind} ${id}`);
}

/** Call it before `kind old` is closed: what the answer is told was opened in its place may outlive the test if `old` might. */
export function replacing(kind: string, old: string): (by: string) => void {
  const lasts = belongsToFile.has(`${kind} ${old}`);
  return (by) => {
    if (lasts) belongsToFile.add(`${kind} ${by}`);
  };
}

export function leftOpen(): string[] {
  return [...open.keys()];
}

/** Called before each test: what is open now was opened for the whole file and may outlive the test. */
export function testStarts(): void {
  belongsToFile.clear();
  for (const key of open.keys()) belongsToFile.add(key);
}

export function assertNothingLeft(): void {
  endAndReport([...open.values()].filter((entry) => !belongsToFile.has(entry.name)));
}

export function assertNothingLeftAtAll(): void {
  endAndReport([...open.values()]);
}

function endAndReport(left: Entry[]): void {
  for (const entry of left) {
    closed(...splitName(entry.name)); // first, so that one leak does not fail the following tests too
    tryToEnd(entry);
  }
  if (left.length > 0) throw new Error(`left open: ${left.map((entry) => entry.name).join(", ")}`);
}

function splitName(name: string): [string, string] {
  const space = name.indexOf(" ");
  return [name.slice(0, space), name.slice(space + 1)];
}

function tryToEnd(entry: Entry): void {
  try {
    entry.end?.();
  } catch {
    // It ended in the meantime; that it was left open is reported anyway.
  }
}

process.on("exit", () => {
  for (const entry of open.values()) tryToEnd(entry);
});

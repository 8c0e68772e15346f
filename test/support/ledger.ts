/** A resource that a test has open: a process, a server, a temporary home. A test that leaves one open fails; it is ended. */
interface Entry {
  readonly name: string;
  readonly end: (() => void) | undefined;
}

const open = new Map<string, Entry>();
const ownedByFile = new Set<string>(); // opened before the running test, so the file's afterAll closes it

/** @param end ends the resource at once and synchronously; called only if it was left open */
export function opened(kind: string, id: string, end?: () => void): void {
  open.set(`${kind} ${id}`, { name: `${kind} ${id}`, end });
}

export function closed(kind: string, id: string): void {
  open.delete(`${kind} ${id}`);
  ownedByFile.delete(`${kind} ${id}`);
}

/**
 * Call before `kind old` is closed. The returned function is given the id of its replacement, which may then outlive the
 * running test if the old one might have.
 */
export function replacing(kind: string, old: string): (replacement: string) => void {
  const isOwnedByFile = ownedByFile.has(`${kind} ${old}`);
  return (replacement) => {
    if (isOwnedByFile) ownedByFile.add(`${kind} ${replacement}`);
  };
}

export function leftOpen(): string[] {
  return [...open.keys()];
}

/** Called before each test: what is already open belongs to the whole file and may outlive the test. */
export function testStarts(): void {
  ownedByFile.clear();
  for (const key of open.keys()) ownedByFile.add(key);
}

export function assertNothingLeft(): void {
  endAndReport([...open.values()].filter((entry) => !ownedByFile.has(entry.name)));
}

export function assertNothingLeftAtAll(): void {
  endAndReport([...open.values()]);
}

function endAndReport(left: Entry[]): void {
  for (const entry of left) {
    closed(...splitName(entry.name)); // first, so that one leak does not fail the next tests too
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
    // It may have ended in the meantime; that it was left open is reported either way.
  }
}

process.on("exit", () => {
  for (const entry of open.values()) tryToEnd(entry);
});

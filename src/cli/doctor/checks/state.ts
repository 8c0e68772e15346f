import { nameList, plainName } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";
import type { FileFacts, FolderFacts, StateFacts } from "../state-facts.ts";

/** @param isLocal whether jobs run in local sandboxes, whose files lie there too */
export function judgeState(facts: StateFacts, isLocal: boolean): Finding[] {
  return [
    ...judgeFolder(facts.folder),
    ...facts.bad.map(judgeFile),
    ...judgeAside(facts.aside),
    ...judgeSessions(facts),
    judgeDisk(facts, isLocal),
  ];
}

function judgeFolder({ path, kind, mode, isForeign, refusal }: FolderFacts): Finding[] {
  const name = "state";
  const shown = plainName(path);
  const elsewhere = 'or set "stateDir" to another folder';
  if (kind === "other")
    return [
      fault(
        name,
        `The state directory ${shown} is a file, or a link that leads nowhere: no job can be recorded.`,
        `Move it away, ${elsewhere}.`,
      ),
    ];
  if (isForeign)
    return [
      fault(
        name,
        `The state directory ${shown} belongs to another user: the plugin does not use it, and no job starts.`,
        `Run: sudo chown -R "$(id -un)" ${shown}, ${elsewhere}.`,
      ),
    ];
  const rights = `Run: chmod 700 ${shown}`;
  if (refusal !== null) {
    const why =
      refusal === "EROFS"
        ? "it is on a file system that is read-only"
        : `you have no right to write there (${refusal})`;
    const what =
      kind === "absent"
        ? `The state directory ${shown} does not exist, and cannot be made`
        : `The state directory ${shown} cannot be used`;
    const remedy =
      refusal === "EROFS" || kind === "absent" ? `Make that place writable, ${elsewhere}.` : `${rights}, ${elsewhere}.`;
    return [fault(name, `${what}: ${why}. No job can be recorded.`, remedy)];
  }
  if (kind === "absent") return [ok(name, `${shown} does not exist yet; the first job makes it.`)];
  const octal = mode.toString(8).padStart(3, "0");
  if ((mode & 0o700) !== 0o700)
    return [
      fault(
        name,
        `The state directory ${shown} has the rights ${octal}: its owner may not read and write there.`,
        rights,
      ),
    ];
  if ((mode & 0o022) !== 0)
    return [
      fault(
        name,
        `The state directory ${shown} has the rights ${octal}: other users may change what jobs are recorded as, or lay traps there. The plugin takes these rights away when it next starts, but not what they have been used for.`,
        rights,
      ),
    ];
  if ((mode & 0o055) !== 0)
    return [
      warning(
        name,
        `The state directory ${shown} has the rights ${octal}: other users can see what is in it. The plugin takes these rights away when it next starts.`,
        rights,
      ),
    ];
  return [ok(name, `${shown} is yours alone, and writable.`)];
}

function judgeFile({ file, kind, message }: FileFacts): Finding {
  const name = "state-files";
  const shown = plainName(file);
  if (kind === "unusable")
    return fault(
      name,
      message,
      `Where that does not say what to do: move ${shown} away, or make it yours (chown, chmod 600). Until then no job starts.`,
    );
  const lost = file.endsWith("pool.db")
    ? "labels and snapshots from before are lost then, jobs and their sandboxes are not"
    : "the jobs of that session are lost then, their sandboxes are kept for a day";
  return fault(
    name,
    `The state file ${shown} is damaged. The plugin sets it aside at its next use and begins a new one: ${lost}.`,
    `To keep what can be saved of it, copy it now. Then use OpenCode as always, or move ${shown} away yourself.`,
  );
}

const judgeAside = (aside: readonly string[]): Finding[] =>
  aside.length === 0
    ? []
    : [
        warning(
          "state-files",
          `State files were damaged before and set aside: ${nameList(aside, 5)}. What they recorded is not known any more.`,
          "Delete them once you do not want to save anything from them.",
        ),
      ];

function judgeSessions({ folder, bad, sessions, lookedInto }: StateFacts): Finding[] {
  if (folder.kind !== "folder" || bad.length > 0) return [];
  const count = sessions === 1 ? "1 session has" : `${sessions} sessions have`;
  if (lookedInto === 0 && sessions > 0)
    return [ok("state-files", `${count} jobs recorded; the files were not looked into.`)];
  const all = lookedInto === sessions ? "" : `, of which the ${lookedInto} newest were looked into`;
  return [ok("state-files", `${count} jobs recorded${all}; none of the files is damaged.`)];
}

function judgeDisk({ shortage, freeMiB, folder }: StateFacts, isLocal: boolean): Finding {
  const name = "disk-space";
  const where = `the disk of ${plainName(folder.path)}`;
  if (shortage === null) return ok(name, `${freeMiB} MiB are free on ${where}.`);
  if (isLocal)
    return fault(
      name,
      `On ${where}, ${shortage}: no local sandbox is made, and the largest one is ended.`,
      "Free some space there.",
    );
  return warning(
    name,
    `On ${where}, ${shortage}: the record of jobs may soon not be written.`,
    "Free some space there.",
  );
}

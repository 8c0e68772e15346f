/** Why a pattern of paths cannot be meant as it is written, relative to the work directory; null = it can. */
export function findGlobProblem(glob: string): string | null {
  if (glob.trim() === "" || glob.includes("\0")) return "it names no file.";
  if (glob.startsWith("!")) return "a pattern cannot take back what others name; list what is meant.";
  if (/\{[^{}]*,[^{}]*\}/.test(glob)) return "patterns here have no alternatives in braces; list one for each of them.";
  if (/(^|\/)\*\*[^/*]|[^/*]\*\*(\/|$)/.test(glob))
    return 'between slashes, "**" stands alone: write "**/*.py" for "**.py".';
  if (glob.startsWith("~") || (!glob.startsWith("/") && climbs(glob))) return "it leads out of the work directory.";
  return null;
}

/** Whether a relative path goes above the folder that it starts from. */
function climbs(path: string): boolean {
  let depth = 0;
  return path.split("/").some((name) => {
    depth += name === ".." ? -1 : ["", "."].includes(name) ? 0 : 1;
    return depth < 0;
  });
}

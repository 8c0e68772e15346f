import { posix } from "node:path";
import type { Place } from "./port.ts";

/** A path as a model means it: `~` and `$HOME` at its beginning are the home directory, as in a shell. */
export const meantPath = (path: string, { home }: Pick<Place, "home">): string =>
  home === null ? path : path.replace(/^(?:~|\$HOME|\$\{HOME\})(?=\/|$)/, () => home);

/** The same, absolute. */
export const fullPath = (path: string, place: Place): string => posix.resolve(place.workdir, meantPath(path, place));

type Env = Readonly<Record<string, string | undefined>>;

/** The variables with the name of the machine's time zone in TZ, where it has one. */
export function withTimeZone(env: Env): Env {
  const zone = isZone(env.TZ) ? env.TZ : Intl.DateTimeFormat().resolvedOptions().timeZone;
  return { ...env, TZ: isZone(zone) ? zone : undefined };
}

/** A name as in "Europe/Berlin": not a file of this machine, as TZ may also name one. */
export const isZone = (zone: string | undefined): zone is string => {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(zone ?? "")) return false;
  if (zone !== known.zone) known = { zone, exists: hasTimes(zone) };
  return known.exists;
};

/** The last one that was asked for: each sandbox asks for the same, and looking one up takes half a millisecond. */
let known: { readonly zone: string | undefined; readonly exists: boolean } = { zone: undefined, exists: false };

function hasTimes(zone: string | undefined): boolean {
  try {
    Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

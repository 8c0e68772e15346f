/*
 * When a provider's limit resets, by what it says. Providers agree on nothing: some send headers, some fields in the body,
 * most a sentence. Times are epoch milliseconds.
 */

/**
 * @param headers of the provider's answer, names in lower case
 * @returns null if no time is named, or only one that has passed
 */
export function resetIn(text: string, headers: Readonly<Record<string, string>>, now: number): number | null {
  const found = [fromHeaders(headers, now), fromFields(text, now), fromDuration(text, now), fromDate(text, now)];
  return found.find((at) => at !== null && at > now && at < now + LONGEST_MS) ?? null;
}

const LONGEST_MS = 400 * 24 * 3_600_000;

/** A number that is a moment in seconds or milliseconds since 1970, or else a number of seconds from now. */
function toMoment(value: string | undefined, now: number): number | null {
  const number = Number(value);
  if (value === undefined || value.trim() === "" || !Number.isFinite(number)) return null;
  if (number > 1e12) return number;
  return number > 1e9 ? number * 1000 : now + number * 1000;
}

function fromHeaders(headers: Readonly<Record<string, string>>, now: number): number | null {
  const inMs = Number(headers["retry-after-ms"]);
  if (inMs > 0) return now + inMs;
  const retryAfter = headers["retry-after"];
  const names = ["anthropic-ratelimit-unified-reset", "x-ratelimit-reset", "ratelimit-reset"];
  const values = [retryAfter, ...names.map((name) => headers[name])];
  for (const value of values) {
    const at = toMoment(value, now) ?? Date.parse(value ?? "");
    if (!Number.isNaN(at)) return at;
  }
  return null;
}

/** Fields of Codex, Google and OpenRouter, and the suffix of Claude's "usage limit reached|1762300800". */
function fromFields(text: string, now: number): number | null {
  const fields =
    /(?:resets?_?at|resets?_?in(?:_?seconds)?|retry[-_ ]?after(?:[-_]seconds)?|retryDelay|x-ratelimit-reset)\\?["']?\s*[:=]\s*\\?["']?(\d+(?:\.\d+)?)s?\b(?![-:]\d)/i;
  return toMoment(fields.exec(text)?.[1] ?? /\|(\d{10})\b/.exec(text)?.[1], now);
}

/** Words after which a time is that of the reset, in the same sentence. */
const BEFORE = "(?:resets?|retry|again|available|wait|renews?|refresh(?:es)?|resumes?)\\b[^.!?\\n]{0,60}?";
const UNITS = { w: 604_800, d: 86_400, h: 3_600, m: 60, s: 1 };
const AMOUNT = "\\d+(?:\\.\\d+)?\\s*(?:weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])";
const DURATION = new RegExp(
  `${BEFORE}(?<=\\b(?:in|after|wait|for)\\s+(?:about |around |approximately |another |~)?)((?:${AMOUNT}[\\s,]*(?:and\\s+)?)+)`,
  "i",
);

/** "resets in 4 hours 3 minutes", "Please retry in 12h3m4.5s". */
function fromDuration(text: string, now: number): number | null {
  const duration = DURATION.exec(text)?.[1];
  if (duration === undefined) return null;
  let seconds = 0;
  for (const [, amount, unit] of duration.matchAll(/(\d+(?:\.\d+)?)\s*([wdhms])/gi))
    seconds += Number(amount) * UNITS[(unit ?? "s").toLowerCase() as keyof typeof UNITS];
  return now + seconds * 1000;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const ZONE = "(?:\\s*\\(?(Z|UTC|GMT|[+-]\\d{2}:?\\d{2}|[A-Z][A-Za-z]+/[A-Za-z_/]+)\\b\\)?)?";
const ISO = new RegExp(`(\\d{4})-(\\d{2})-(\\d{2})(?:[T ]|,? at )(\\d{2}):(\\d{2})(?::\\d{2}(?:\\.\\d+)?)?${ZONE}`);
const CLOCK = new RegExp(
  `(?:resets?|again|available|until|renews?)\\b[^.!?\\n]{0,40}?(?:\\b(${DAYS.join("|")})[a-z]*,?\\s+)?(?:\\b(${MONTHS.join("|")})[a-z]*\\.?\\s+(\\d{1,2})(?:st|nd|rd|th)?,?\\s+(\\d{4})?,?\\s*)?(?:at\\s+)?\\b(\\d{1,2})(?::(\\d{2}))?(?::\\d{2})?\\s*([ap])?\\.?(?:m\\b\\.?)?${ZONE}`,
  "i",
);

/** "reset at 2026-04-11 20:30:24 +0800", "try again at Sep 5th, 2026 8:32 PM", "resets 6pm (Europe/Berlin)". */
function fromDate(text: string, now: number): number | null {
  const iso = ISO.exec(text);
  if (iso) {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = iso.slice(1, 6).map(Number);
    return inZone([year, month - 1, day, hour, minute], iso[6]);
  }
  const clock = CLOCK.exec(text);
  if (!clock) return null;
  const [, weekday, month, date, year, hours, minutes, half, zone] = clock;
  if (minutes === undefined && half === undefined) return null; // a number, and not a time of day
  const hour = half === undefined ? Number(hours) : (Number(hours) % 12) + (half.toLowerCase() === "p" ? 12 : 0);
  const minute = Number(minutes ?? 0);
  const today = new Date(now + offsetOf(now, zone));
  const at = (y: number, m: number, d: number) => inZone([y, m, d, hour, minute], zone);
  if (month !== undefined) {
    const index = MONTHS.indexOf(month.toLowerCase().slice(0, 3));
    const thisYear = at(Number(year ?? today.getUTCFullYear()), index, Number(date));
    return thisYear > now || year !== undefined ? thisYear : at(today.getUTCFullYear() + 1, index, Number(date));
  }
  const wanted = weekday === undefined ? null : DAYS.indexOf(weekday.toLowerCase().slice(0, 3));
  for (let ahead = 0; ahead <= 7; ahead++) {
    const day = new Date(today.getTime() + ahead * 86_400_000);
    const moment = at(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate());
    if (moment > now && (wanted === null || day.getUTCDay() === wanted)) return moment;
  }
  return null;
}

type Wall = readonly [year: number, month: number, day: number, hour: number, minute: number];

/** The moment at which clocks in this zone show that; without a zone, clocks of this machine. */
function inZone(wall: Wall, zone: string | undefined): number {
  const asUtc = Date.UTC(...wall);
  return asUtc - offsetOf(asUtc - offsetOf(asUtc, zone), zone);
}

/** What a zone's clocks are ahead of UTC, milliseconds. */
function offsetOf(at: number, zone: string | undefined): number {
  if (zone === undefined) return -new Date(at).getTimezoneOffset() * 60_000;
  const fixed = /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  if (fixed) return (fixed[1] === "-" ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000;
  if (/^(?:z|utc|gmt)$/i.test(zone)) return 0;
  try {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "GMT";
    return name === "GMT" ? 0 : offsetOf(at, name.slice("GMT".length));
  } catch {
    return 0; // no zone by that name
  }
}

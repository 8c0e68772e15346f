export type LogLevel = "debug" | "info" | "warn" | "error";

/** The message is constant and `fields` has the variable data. `error` needs a person, `warn` was handled, `info` is a change of state. */
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

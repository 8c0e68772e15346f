export type LogLevel = "debug" | "info" | "warn" | "error";

/** Constant message, variable data in `fields`. `error` needs a person, `warn` was survived, `info` is a state change. */
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

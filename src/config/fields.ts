import { isIP } from "node:net";
import { z } from "zod";
import { gpuTypeNames, parseGpu, toGpuType } from "./gpu.ts";
import { recordOf } from "./record.ts";

/*
 * Types of option values. The error text of each type says what is allowed, whatever was wrong with the value; problems.ts
 * shows it unchanged.
 */

export const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: values.map((value) => `"${value}"`).join(" or ") });

export function wholeNumber(min: number, max?: number) {
  const error = `a whole number ${max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`;
  return z
    .int({ error })
    .min(min, { error })
    .max(max ?? Number.MAX_SAFE_INTEGER, { error });
}

/** A finite number, fractions allowed. */
export function amount(min: number, max?: number) {
  const error = `a number ${max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`;
  const field = z.number({ error }).min(min, { error });
  return max === undefined ? field : field.max(max, { error });
}

/** A finite number above zero. */
export const positive = () => z.number({ error: "a number above 0" }).positive({ error: "a number above 0" });

export const text = (error: string) =>
  z
    .string({ error })
    .min(1, { error })
    .regex(/^[^\0]*$/, { error });

export const flag = () => z.boolean({ error: "true or false" });

export const listOf = <T extends z.ZodType>(item: T, error: string) => z.array(item, { error });

export const mapOf = <K extends z.ZodString, V extends z.ZodType>(name: K, value: V, error: string) =>
  recordOf(name, value, (issue) => (issue.code === "invalid_key" ? undefined : error));

/** An object whose names jobs or models choose. @param error what is allowed where no object is given */
export const named = <T>(value: z.ZodType<T>, error = "an object", name = z.string()) => mapOf(name, value, error);

/** An object in which unknown keys are errors. */
export const section = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? undefined : "an object") });

/** An absolute path inside the sandbox, other than its root. */
export const sandboxPath = () => {
  const error = 'an absolute path in the sandbox without "..", for example "/workspace"';
  return z
    .string({ error })
    .regex(/^\/(?!\.\.?(?:\/|$))[^\0/][^\0]*$/, { error })
    .refine((path) => !path.split("/").includes(".."), { error });
};

export const domain = () => {
  const error = 'a domain without "https://", port or path, for example "pypi.org"';
  return z.string({ error }).regex(/^[^\s/:@]+$/, { error });
};

/** A range of addresses. */
export const cidr = () => {
  const error = 'a range of addresses, for example "10.0.0.0/8" or "203.0.113.7/32"';
  return z.string({ error }).refine(
    (range) => {
      const [, address = "", bits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(range) ?? [];
      const version = isIP(address);
      return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128);
    },
    { error },
  );
};

/** A path on this machine. */
export const hostPath = () => {
  const error = 'an absolute path, or one that begins with "~/"';
  return z.string({ error }).regex(/^(?:~?\/)[^\0]*$/, { error });
};

/** The SHA-256 of a file, as `sha256sum` prints it. */
export const sha256 = () => {
  const error = "a SHA-256 sum: 64 hexadecimal digits";
  return z
    .string({ error })
    .regex(/^[0-9a-f]{64}$/i, { error })
    .toLowerCase();
};

export const envName = () => {
  const error = 'names of environment variables: letters, digits and "_", not starting with a digit';
  return z.string({ error }).regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error });
};

export const gpuString = () =>
  z.string({ error: 'a GPU type such as "T4", "A100-80GB" or "H100:8"' }).superRefine((value, context) => {
    const parsed = parseGpu(value);
    if (parsed.kind === "invalid") context.addIssue({ code: "custom", message: parsed.message });
  });

/**
 * An object of numbers by GPU type, besides the keys of `shape`. Types are accepted in any case and get their canonical names.
 * @param value the schema of a type's number
 */
export function byGpuType<T extends z.ZodRawShape>(shape: T, value: z.ZodNumber) {
  const known = Object.keys(shape);
  return z
    .object(shape, { error: "an object" })
    .catchall(value)
    .superRefine((given, context) => {
      for (const key of Object.keys(given)) {
        if (known.includes(key) || toGpuType(key) !== null) continue;
        context.addIssue({
          code: "custom",
          path: [key],
          message: `${known.join(", ")} or a GPU type: ${gpuTypeNames()}`,
        });
      }
    })
    .transform(
      (given) =>
        Object.fromEntries(
          Object.entries(given).map(([key, number]) => [known.includes(key) ? key : (toGpuType(key) ?? key), number]),
        ) as typeof given,
    );
}

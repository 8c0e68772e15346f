/** Makes a missing case of a union a compile error, and a readable one should it happen at run time. */
export function assertNever(value: never): never {
  throw new Error(`unexpected case: ${JSON.stringify(value)}`);
}

/** What a job's model has read and written over all turns. Each token is counted once. */
export interface Tokens {
  /** Read, outside the provider's cache. */
  readonly input: number;
  /** Written, without reasoning. */
  readonly output: number;
  /** Read from the provider's cache, or stored in it. */
  readonly cached: number;
  readonly reasoning: number;
}

export const NO_TOKENS: Tokens = { input: 0, output: 0, cached: 0, reasoning: 0 };

/** The higher count of each kind: what was used stays used when the host deletes messages of a session. */
export const mostTokens = (a: Tokens, b: Tokens): Tokens => ({
  input: Math.max(a.input, b.input),
  output: Math.max(a.output, b.output),
  cached: Math.max(a.cached, b.cached),
  reasoning: Math.max(a.reasoning, b.reasoning),
});

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export const answer = (status: number, value: unknown): Answer => ({
  status,
  headers: {
    "content-type": "application/json; charset=utf-8",
    // Nothing of it is ever shown as a document.
    "content-security-policy": "default-src 'none'; sandbox",
  },
  body: JSON.stringify(value),
});

/** In the form of a `LabAnswer` that is refused, whoever refuses. */
export const refusal = (status: number, message: string, code = "invalid_request"): Answer =>
  answer(status, { kind: "refused", code, message });

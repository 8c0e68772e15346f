import { createHash } from "node:crypto";

/** The page as it is sent, with the policy under which browsers show it. */
export interface Page {
  readonly html: string;
  readonly policy: string;
}

/**
 * Nothing that a page could load is allowed but its own script and style, by their hashes, and requests to this server. So
 * text of jobs has no effect, even if it was ever taken for markup.
 * @param html with its script and style inside
 */
export function toPage(html: string): Page {
  const hashes = (tag: "script" | "style") =>
    [...html.matchAll(new RegExp(`<${tag}\\b[^>]*>([\\s\\S]*?)</${tag}>`, "g"))]
      .map(
        ([, text]) =>
          `'sha256-${createHash("sha256")
            .update(text as string)
            .digest("base64")}'`,
      )
      .join(" ") || "'none'";
  const policy = [
    "default-src 'none'",
    `script-src ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    "img-src data:", // its empty icon
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return { html, policy };
}

/** Headers of every response: nothing is stored, guessed, framed, or told to other sites. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const BACK_SCRIPT =
  'const t=sessionStorage.getItem("token");if(t&&!location.search){sessionStorage.removeItem("token");location.replace("/?token="+encodeURIComponent(t))}';

/** Answers a visit without the token. A page that was open in the same tab, and is reloaded, still knows it. */
export const LOCKED_PAGE: Page = toPage(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Parallel agents</title>
<h1>The token is missing or wrong</h1>
<p>Open the whole address that <code>opencode-parallel-agents dashboard</code> printed. It is a new one with each start.</p>
<script>${BACK_SCRIPT}</script></html>
`);

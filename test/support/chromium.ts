import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is installed; null = it is not, and suites that need it say so and are skipped. */
export const chromiumPath: string | null = PLACES.find((path) => existsSync(path)) ?? null;

/** It asks nobody for anything by itself. */
const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const startChromium = (path: string): Promise<Browser> =>
  chromium.launch({ executablePath: path, headless: true, args: QUIET });

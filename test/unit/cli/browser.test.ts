import { expect, test } from "bun:test";
import { browserOf } from "../../../src/cli/open-in-browser.ts";

test("a page is opened by $BROWSER, else by the desktop, and not where nobody sits at one", () => {
  expect(browserOf({ BROWSER: "firefox", SSH_CONNECTION: "1" }, "linux")).toBe("firefox");
  expect(browserOf({ DISPLAY: ":0" }, "linux")).toBe("xdg-open");
  expect(browserOf({ WAYLAND_DISPLAY: "wayland-0" }, "linux")).toBe("xdg-open");
  expect(browserOf({}, "darwin")).toBe("open");
  expect(browserOf({}, "linux")).toBeNull();
  expect(browserOf({ DISPLAY: ":0", SSH_CONNECTION: "1" }, "linux")).toBeNull();
});

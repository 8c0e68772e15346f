import { typingCommand } from "../views/typing.ts";
import { sessionOnScreen } from "./sessions.ts";
import type { Ui } from "./ui.ts";

interface KeyEvent {
  readonly name: string;
  readonly ctrl: boolean;
  readonly meta?: boolean;
}

/** Whoever types goes on for a while: what is made ready meanwhile lasts longer than this. */
const AGAIN_MS = 60_000;

/** Tells the part in the server, once a minute at most, that the user types in a session: it may make sandboxes ready. */
export function registerTyping({ api, clock }: Ui): void {
  const told = new Map<string, number>();
  api.keymap.intercept("key", ({ event }: { event: KeyEvent }) => {
    if (event.ctrl || event.meta || event.name.length !== 1 || !api.renderer.currentFocusedEditor) return;
    const sessionID = sessionOnScreen(api.route);
    const now = clock.now();
    if (sessionID === null || now - (told.get(sessionID) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    told.set(sessionID, now);
    const command = typingCommand(sessionID);
    // Nothing depends on it, and a server without this part does not know it.
    void Promise.resolve(
      api.client.tui.publish({ body: { type: "tui.command.execute", properties: { command } } } as never),
    ).catch(() => {});
  });
}

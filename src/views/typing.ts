/*
 * How the part in the terminal UI tells the part in the server that the user types: as a command that the host does not
 * know, which it passes on to plugins. Nobody answers.
 */

const PREFIX = "parallel-agents:typing:";
const SESSION = /^ses[A-Za-z0-9_-]{1,64}$/;

export const typingCommand = (sessionID: string): string => `${PREFIX}${sessionID}`;

/** The session that the user types in; null = the command says something else. */
export function typingIn(command: string): string | null {
  const sessionID = command.startsWith(PREFIX) ? command.slice(PREFIX.length) : "";
  return SESSION.test(sessionID) ? sessionID : null;
}

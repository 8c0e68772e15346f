import type { Command } from "./command.ts";
import { dashboardCommand } from "./dashboard-command.ts";
import { doctorCommand } from "./doctor-command.ts";
import { gcCommand } from "./gc-command.ts";
import { reportCommand } from "./report-command.ts";

/** In the order in which `--help` lists them. */
export const COMMANDS: readonly Command[] = [dashboardCommand, reportCommand, doctorCommand, gcCommand];

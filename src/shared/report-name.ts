const BEGINNING = "parallel-agents-report-";

/** What a report of a session is called unless the user says otherwise. */
export const reportName = (session: string, form: string): string => `${BEGINNING}${session}.${form}`;

/** Whether a file is called as reports are. */
export const isReportName = (path: string): boolean =>
  path.slice(path.lastIndexOf("/") + 1).startsWith(BEGINNING) && /\.(?:html|json|csv)$/.test(path);

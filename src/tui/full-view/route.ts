/** The full view's name among the host's routes, and the mode in which its keys are in effect. */
export const FULL_VIEW = "parallel-agents.jobs";

/** Every process of a run has this variable, with the run's id. */
export const RUN_VARIABLE = "PARALLEL_AGENTS_RUN";

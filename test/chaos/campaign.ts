/*
 * A campaign of experiments as SkyPilot published it for karpathy/autoresearch (https://blog.skypilot.co/scaling-autoresearch/,
 * March 2026): about 910 runs in 8 hours on 16 GPUs, each trained for 5 minutes, with some minutes around that; some
 * crashed early. The durations of the single runs were not published, so they are spread over what was.
 */
import { SAY_WHEN } from "../bench/ran.ts";

export const CAMPAIGN = { runs: 910, slots: 16 } as const;

/** One of so many runs crashes soon after its start. */
const CRASHES_EVERY = 10;
const CRASH_SECS = 30;
const TRAINING_SECS = 300;
/** Compilation and evaluation around the training: up to so long. */
const AROUND_SECS = 100;

/** Spreads the runs' numbers evenly, in a fixed order that looks random: a prime step modulo a number that it does not divide. */
const STEP = 7919;

/** Whether a run crashes, by its number. */
export const crashes = (n: number): boolean => n % CRASHES_EVERY === 3;

/**
 * The command of every run, which tells them apart by `N`: prints when it came and when it left, and its result as a metric.
 * @param secondMs how long a second of the campaign takes here
 */
export const campaignCommand = (secondMs: number): string =>
  `${SAY_WHEN}
if [ $((N % ${CRASHES_EVERY})) -eq 3 ]; then ms=$((${secondMs} * ${CRASH_SECS})); else ms=$((${secondMs} * (${TRAINING_SECS} + N * ${STEP} % ${AROUND_SECS}))); fi
sleep $(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))
if [ $((N % ${CRASHES_EVERY})) -ne 3 ]; then printf 'METRIC val_bpb=0.%04d\\n' $((9700 + N * ${STEP} % 300)); fi
${SAY_WHEN}; [ $((N % ${CRASHES_EVERY})) -ne 3 ]`;

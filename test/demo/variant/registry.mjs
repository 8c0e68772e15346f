import { mix } from "./mix.mjs";
import { ngram } from "./ngram.mjs";

export const MODELS = { ngram, mix };

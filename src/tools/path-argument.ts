import { z } from "zod";
import { whyImpossible } from "../shared/possible-path.ts";

/** A path that a file can have. Others would fail late or, cut at a NUL, name another file. */
export const pathArgument = () =>
  z
    .string()
    .min(1)
    .superRefine((path, context) => {
      const why = whyImpossible(path);
      if (why !== null) context.addIssue({ code: "custom", message: `it ${why}` });
    });

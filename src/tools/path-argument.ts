import { z } from "zod";
import { whyImpossible } from "../shared/possible-path.ts";

/**
 * A path that a file can have. Others would fail late or, cut at a NUL, name another file. Models also write one as a
 * `file:` URL, which would name a folder `file:`.
 */
export const pathArgument = () =>
  z
    .string()
    .min(1)
    .overwrite((path) => path.replace(/^file:\/\/(?:localhost)?(?=\/)/, ""))
    .superRefine((path, context) => {
      const why = whyImpossible(path);
      if (why !== null) context.addIssue({ code: "custom", message: `it ${why}` });
    });

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

/** The README's code blocks in `language`, in order. */
export function readmeCode(language) {
  const text = readFileSync(join(root, "README.md"), "utf8");
  return [...text.matchAll(new RegExp("^```" + language + "\\n(.*?)^```$", "gms"))].map(([, code]) => code);
}

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const portraits = fileURLToPath(new URL("../../../../packages/examples/weights/portraits", import.meta.url));

/** Sizes of the models that the site serves, in bytes, which a progress bar needs. Read when the site is built. */
export default {
  load: (): { portraits: number } => ({
    portraits: readdirSync(portraits, { recursive: true })
      .map((file) => statSync(join(portraits, String(file))))
      .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0),
  }),
};

export declare const data: { portraits: number };

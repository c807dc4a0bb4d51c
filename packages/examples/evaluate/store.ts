import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Results of a long measurement in one JSON file, written after each result, so that the measurement can be stopped and
 * resumed. Results of another `subject`, such as another model, are ignored.
 */
export class ResultStore {
  readonly #results: Record<string, unknown> = {};

  constructor(
    readonly path: string,
    readonly subject: string,
  ) {
    if (!existsSync(path)) return;
    const stored = JSON.parse(readFileSync(path, "utf8")) as { subject: string; results: Record<string, unknown> };
    if (stored.subject === subject) this.#results = stored.results;
  }

  /** The result stored as `key`; if it is not there yet, runs `measure` and stores its result. */
  async once<T>(key: string, measure: () => Promise<T>): Promise<T> {
    if (!(key in this.#results)) {
      this.#results[key] = await measure();
      this.#write();
    }
    return this.#results[key] as T;
  }

  #write(): void {
    mkdirSync(dirname(this.path), { recursive: true });
    writeFileSync(`${this.path}.new`, JSON.stringify({ subject: this.subject, results: this.#results }, null, 1));
    renameSync(`${this.path}.new`, this.path);
  }
}

/** A hash that changes with any file of the folders, so that results of other weights are not mixed in. */
export function fingerprint(...folders: string[]): string {
  const hash = createHash("sha256");
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
      const path = join(folder, name);
      if (statSync(path).isFile()) hash.update(name).update(readFileSync(path));
    }
  }
  return hash.digest("hex");
}

import { fileExists, nodeFiles, readText } from "../platform/files.js";
import { writeText } from "../platform/write-files.js";

/** One row of the log. */
export interface LogRow {
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
}

const HEADER = "step,loss,gradient_norm,learning_rate,images_per_second\n";

/**
 * A training log as CSV (Node only): exactly one row per step, even if a run is killed and resumed many times. Rows are
 * flushed to the disk before the checkpoint of their step, and a resumed run first drops the rows after its checkpoint.
 */
export class TrainingLog {
  #waiting: string[] = [];
  #flushedAt = -Infinity;

  constructor(readonly path: string) {}

  /** Keeps the header and the complete rows up to `step`; later rows will be written again. */
  async rewind(step: number): Promise<void> {
    const text = (await fileExists(this.path)) ? await readText(this.path) : "";
    const rows = text.split("\n").slice(1, -1);
    const kept = rows.filter((row) => Number.parseInt(row, 10) <= step);
    const wanted = HEADER + kept.map((row) => row + "\n").join("");
    if (wanted !== text) await writeText(this.path, wanted);
  }

  /** Adds a row; rows reach the file about once a second. */
  async add({ step, loss, gradientNorm, learningRate, imagesPerSecond }: LogRow): Promise<void> {
    // Nine digits are enough to identify every float32.
    const numbers = [loss, gradientNorm, learningRate].map((value) => String(Number(value.toPrecision(9))));
    this.#waiting.push(`${step},${numbers.join(",")},${imagesPerSecond.toPrecision(4)}\n`);
    if (performance.now() - this.#flushedAt > 1000) await this.flush();
  }

  /** Appends the waiting rows in one write. With `sync`, waits until they are on the disk. */
  async flush({ sync = false } = {}): Promise<void> {
    const { open } = await nodeFiles(`Writing ${this.path}`);
    const file = await open(this.path, "a");
    try {
      if (this.#waiting.length > 0) await file.appendFile(this.#waiting.join(""));
      this.#waiting = [];
      if (sync) await file.sync();
    } finally {
      await file.close();
    }
    this.#flushedAt = performance.now();
  }
}

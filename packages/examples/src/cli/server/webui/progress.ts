import type { DrawEvent, DrawJob, DrawnPicture } from "../jobs/draw-job.js";

/** A drawing that clients ask about. */
export class Entry {
  readonly job: DrawJob;
  readonly abort: AbortController;
  readonly pictures: DrawnPicture[] = [];
  /** Undefined while it waits for its turn. */
  began: number | undefined;
  isInterrupted = false;
  picture = 0;
  step = 0;
  steps = 0;

  constructor(job: DrawJob, abort: AbortController) {
    this.job = job;
    this.abort = abort;
  }

  readonly hear = (event: DrawEvent): void => {
    this.began ??= Date.now();
    if (event.type === "picture") this.pictures[event.index] = event.picture;
    else [this.picture, this.step, this.steps] = [event.picture, event.step + 1, event.steps];
  };

  /** 0 to 1. */
  get share(): number {
    return this.steps === 0 ? 0 : (this.picture + this.step / this.steps) / this.job.count;
  }
}

/** The drawings of AUTOMATIC1111's API: there is one at a time there, so clients ask for "the" progress. */
export class Progress {
  readonly #entries = new Set<Entry>();

  begin(job: DrawJob, abort: AbortController): { entry: Entry; end: () => void } {
    const entry = new Entry(job, abort);
    this.#entries.add(entry);
    return { entry, end: () => this.#entries.delete(entry) };
  }

  /** Stops the drawing that `now` tells of. */
  interrupt(): void {
    const entry = this.#current();
    if (!entry) return;
    entry.isInterrupted = true;
    entry.abort.abort(new Error("The drawing was interrupted."));
  }

  now(): object {
    const entry = this.#current();
    const share = entry?.share ?? 0;
    const seconds = entry?.began === undefined ? 0 : (Date.now() - entry.began) / 1000;
    return {
      progress: share,
      eta_relative: share === 0 ? 0 : seconds / share - seconds,
      state: {
        skipped: false,
        interrupted: entry?.isInterrupted ?? false,
        stopping_generation: false,
        job: entry ? `Picture ${entry.picture + 1} of ${entry.job.count}` : "",
        job_count: this.#entries.size,
        job_timestamp: timestamp(entry?.began),
        job_no: entry?.picture ?? 0,
        sampling_step: entry?.step ?? 0,
        sampling_steps: entry?.steps ?? 0,
      },
      current_image: null,
      textinfo: entry && entry.began === undefined ? "waiting" : null,
    };
  }

  /** The oldest of those that are drawn; else the oldest that waits. */
  #current(): Entry | undefined {
    const all = [...this.#entries];
    return all.find(({ began }) => began !== undefined) ?? all[0];
  }
}

/** As 20261130190512. */
function timestamp(time: number | undefined): string {
  return time === undefined ? "0" : new Date(time).toISOString().replace(/\D/g, "").slice(0, 14);
}

import { SHARE_ENV, Worker } from "node:worker_threads";
import { packagePath } from "../../../package-folder.js";
import {
  type DrawJob,
  type DrawnPicture,
  DrawRequestError,
  type JobQueue,
  type ModelInfo,
  QueueClosedError,
  type SubmitOptions,
} from "./draw-job.js";
import { FairQueue } from "./fair-queue.js";
import { requireRoom, type WaitingLimits } from "./room.js";
import type { FromThread, StartOfThread, ToThread } from "./thread-messages.js";

/** How a {@link ThreadQueue} is set up. */
export interface ThreadQueueSettings extends StartOfThread, WaitingLimits {
  /** How many jobs are drawn at once. Each thread has the models in memory. */
  threads: number;
}

/** A job on its way. */
interface Entry {
  id: number;
  job: DrawJob;
  options: SubmitOptions;
  began: number;
  /** How often a thread ended while it drew this job. */
  crashes: number;
  resolve: (pictures: readonly DrawnPicture[]) => void;
  reject: (error: unknown) => void;
}

interface Thread {
  worker: Worker;
  running: Entry | undefined;
}

/** A second crash with the same job is the job's fault. */
const MOST_CRASHES = 2;

/** Seconds of a drawing until one has been measured. */
const FIRST_GUESS = 2;

/** Draws jobs in threads of this process, the clients' jobs in turn. */
export class ThreadQueue implements JobQueue {
  readonly #settings: ThreadQueueSettings;
  readonly #waiting = new FairQueue<Entry>();
  readonly #threads = new Set<Thread>();
  #models: readonly ModelInfo[] = [];
  #backend = "";
  #isClosed = false;
  #lastId = 0;
  /** Seconds of a job: each new one counts a fifth. */
  #seconds = FIRST_GUESS;

  private constructor(settings: ThreadQueueSettings) {
    this.#settings = settings;
  }

  /**
   * Starts the threads, which open the models.
   *
   * @throws Error if a model cannot be opened
   */
  static async start(settings: ThreadQueueSettings): Promise<ThreadQueue> {
    const queue = new ThreadQueue(settings);
    try {
      await Promise.all(Array.from({ length: settings.threads }, () => queue.#startThread()));
      return queue;
    } catch (error) {
      await queue.close(0);
      throw error;
    }
  }

  /** The backend that the threads compute on. */
  get backend(): string {
    return this.#backend;
  }

  async models(): Promise<readonly ModelInfo[]> {
    return Promise.resolve(this.#models);
  }

  state(): Promise<{ waiting: number; running: number }> {
    const running = [...this.#threads].filter((thread) => thread.running).length;
    return Promise.resolve({ waiting: this.#waiting.size(), running });
  }

  submit(job: DrawJob, options: SubmitOptions): Promise<readonly DrawnPicture[]> {
    const { client, signal } = options;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      requireRoom(
        {
          isClosed: this.#isClosed,
          waiting: this.#waiting.size(),
          own: this.#waiting.size(client),
          secondsPerJob: this.#seconds / this.#settings.threads,
        },
        this.#settings,
      );
      const entry: Entry = { id: ++this.#lastId, job, options, began: 0, crashes: 0, resolve, reject };
      signal.addEventListener("abort", () => this.#stop(entry), { once: true });
      this.#waiting.push(client, entry);
      this.#drawNext();
    });
  }

  async close(grace: number): Promise<void> {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.clear()) reject(new QueueClosedError("The server is ending."));
    const ends = Date.now() + grace;
    while (Date.now() < ends && [...this.#threads].some(({ running }) => running)) await sleep(20);
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const { running } of threads) running?.reject(new QueueClosedError("The server has ended."));
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }

  #startThread(): Promise<void> {
    const { models, backend } = this.#settings;
    const workerData: StartOfThread = { models, backend };
    // The compiled file, also when a test imports the sources: a thread cannot run TypeScript.
    const worker = new Worker(packagePath("dist", "src", "cli", "server", "jobs", "draw-thread.js"), {
      workerData,
      execArgv: [],
      // TensorFlow's library reads the process's own environment, not a thread's copy.
      env: SHARE_ENV,
    });
    const thread: Thread = { worker, running: undefined };
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      worker.on("message", (message: FromThread) => {
        if (message.type !== "ready") return this.#hear(thread, message);
        this.#models = message.models;
        this.#backend = message.backend;
        this.#threads.add(thread);
        resolve();
        this.#drawNext();
      });
      worker.on("error", (error) => (failure = error));
      worker.on("exit", (code) => {
        const error = failure ?? new Error(`The drawing thread ended with code ${code}.`);
        reject(error);
        if (this.#threads.delete(thread)) this.#afterCrash(thread, error);
      });
    });
  }

  /** Draws the job of a thread that crashed once more, in a new thread. */
  #afterCrash({ running }: Thread, error: Error): void {
    if (running && (++running.crashes === MOST_CRASHES || running.options.signal.aborted)) {
      running.reject(new Error(`The drawing crashed (${error.message}).`, { cause: error }));
    } else if (running) {
      this.#waiting.push(running.options.client, running);
    }
    if (this.#isClosed) return;
    this.#startThread().catch((error: unknown) => {
      if (this.#threads.size > 0) return;
      this.#isClosed = true;
      for (const { reject } of this.#waiting.clear()) reject(error);
    });
  }

  #hear(thread: Thread, message: Exclude<FromThread, { type: "ready" }>): void {
    const entry = thread.running;
    if (entry?.id !== message.id) return;
    if (message.type === "event") {
      if (!entry.options.signal.aborted) entry.options.onEvent?.(message.event);
      return;
    }
    thread.running = undefined;
    const { signal } = entry.options;
    if (message.type === "done") {
      this.#seconds += 0.2 * ((performance.now() - entry.began) / 1000 - this.#seconds);
      entry.resolve(message.pictures);
    } else if (signal.aborted) {
      entry.reject(signal.reason);
    } else {
      entry.reject(message.isRequest ? new DrawRequestError(message.message) : new Error(message.message));
    }
    this.#drawNext();
  }

  #drawNext(): void {
    for (const thread of this.#threads) {
      if (thread.running) continue;
      const entry = this.#waiting.take();
      if (!entry) return;
      thread.running = entry;
      entry.began = performance.now();
      thread.worker.postMessage({ type: "draw", id: entry.id, job: entry.job } satisfies ToThread);
    }
  }

  /** Takes the job out of the queue, or tells its thread to stop. */
  #stop(entry: Entry): void {
    const { client, signal } = entry.options;
    if (this.#waiting.remove(client, entry)) return entry.reject(signal.reason);
    const thread = [...this.#threads].find(({ running }) => running === entry);
    thread?.worker.postMessage({ type: "stop", id: entry.id } satisfies ToThread);
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

import { type Job, Queue, QueueEvents, UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";
import {
  type DrawEvent,
  type DrawJob,
  type DrawnPicture,
  DrawRequestError,
  type JobQueue,
  type ModelInfo,
  type SubmitOptions,
} from "./draw-job.js";
import { requireRoom, type WaitingLimits } from "./room.js";

const NAME = "tfjs-diffusion";
/** Where workers say which models they have: the entry goes when its worker is gone. */
const WORKERS = `${NAME}:worker:`;
/** Where servers say which jobs to stop. */
const STOPS = `${NAME}:stop`;

/** A worker renews its claims this often; after `LOCK` without, another takes its job over. In milliseconds. */
const HEARTBEAT = 2000;
const LOCK = 8000;
/** How often a job is given to another worker when its worker is gone. */
const MOST_CRASHES = 3;
/** How long results and failures stay in Redis, in seconds. */
const KEPT = 600;

/** Errors that are the request's fault begin with this in Redis, which keeps only a text. */
const OF_THE_REQUEST = "DrawRequestError: ";

type Result = readonly DrawnPicture[];
type DrawQueue = Queue<DrawJob, Result, "draw">;

/** A connection of our own. Those that BullMQ makes from a URL it also closes. */
const connectionTo = (url: string) => new Redis(url, { maxRetriesPerRequest: null });

/**
 * Hands jobs to workers on this or other machines, by BullMQ. A job whose worker is killed is drawn by another one, and
 * only the worker that holds a job's lock can give its result.
 */
export class RedisQueue implements JobQueue {
  readonly #redis: Redis;
  readonly #queue: DrawQueue;
  readonly #events: QueueEvents;
  readonly #limits: WaitingLimits;
  /** How many jobs of each client are on their way, from this server. */
  readonly #ofClient = new Map<string, number>();
  readonly #onEvent = new Map<string, (event: DrawEvent) => void>();
  #isClosed = false;
  #seconds = 2;

  private constructor(url: string, limits: WaitingLimits) {
    this.#redis = connectionTo(url);
    this.#queue = new Queue(NAME, { connection: { url } });
    this.#events = new QueueEvents(NAME, { connection: { url } });
    this.#limits = limits;
    // Each waiting job listens to the end of both.
    this.#queue.setMaxListeners(0);
    this.#events.setMaxListeners(0);
    this.#events.on("progress", ({ jobId, data }) => this.#onEvent.get(jobId)?.(data as DrawEvent));
  }

  static async open(url: string, limits: WaitingLimits): Promise<RedisQueue> {
    const queue = new RedisQueue(url, limits);
    await queue.#events.waitUntilReady();
    return queue;
  }

  async models(): Promise<readonly ModelInfo[]> {
    const keys = await this.#redis.keys(`${WORKERS}*`);
    const texts = keys.length === 0 ? [] : await this.#redis.mget(keys.sort());
    const all = texts.flatMap((text) => (text === null ? [] : (JSON.parse(text) as ModelInfo[])));
    return [...new Map(all.map((model) => [model.id, model])).values()];
  }

  async state(): Promise<{ waiting: number; running: number }> {
    const {
      prioritized = 0,
      waiting = 0,
      active = 0,
    } = await this.#queue.getJobCounts("prioritized", "waiting", "active");
    return { waiting: prioritized + waiting, running: active };
  }

  async submit(job: DrawJob, { client, signal, onEvent }: SubmitOptions): Promise<Result> {
    signal.throwIfAborted();
    const own = this.#ofClient.get(client) ?? 0;
    const { waiting } = await this.state();
    requireRoom({ isClosed: this.#isClosed, waiting, own, secondsPerJob: this.#seconds }, this.#limits);
    this.#ofClient.set(client, own + 1);
    const began = performance.now();
    let added: Job<DrawJob, Result, "draw"> | undefined;
    try {
      // A client's k-th job has the priority k, so that the clients take turns.
      added = await this.#queue.add("draw", job, {
        priority: own + 1,
        attempts: 1,
        removeOnComplete: { age: KEPT },
        removeOnFail: { age: KEPT },
      });
      if (onEvent) this.#onEvent.set(added.id!, onEvent);
      const result = await orAborted(added.waitUntilFinished(this.#events), signal);
      this.#seconds += 0.2 * ((performance.now() - began) / 1000 - this.#seconds);
      return result;
    } catch (error) {
      if (signal.aborted && added) await this.#stop(added);
      if (signal.aborted) throw signal.reason;
      throw failureOf(error as Error);
    } finally {
      if (added) this.#onEvent.delete(added.id!);
      const left = this.#ofClient.get(client)! - 1;
      if (left > 0) this.#ofClient.set(client, left);
      else this.#ofClient.delete(client);
    }
  }

  async close(grace: number): Promise<void> {
    this.#isClosed = true;
    const ends = Date.now() + grace;
    while (Date.now() < ends && this.#ofClient.size > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all([this.#events.close(), this.#queue.close()]);
    this.#redis.disconnect();
  }

  /** Takes a job out of the queue, or tells its worker to stop. */
  async #stop(job: Job<DrawJob, Result, "draw">): Promise<void> {
    try {
      await job.remove();
    } catch {
      await this.#redis.publish(STOPS, job.id!); // A worker draws it.
    }
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    promise.then(resolve, reject);
  });
}

function failureOf({ message }: Error): Error {
  if (message.startsWith(OF_THE_REQUEST)) return new DrawRequestError(message.slice(OF_THE_REQUEST.length));
  return new Error(message);
}

/** Takes jobs from Redis and draws them on `local`, until it is closed. */
export class RedisWorker {
  readonly #redis: Redis;
  readonly #listener: Redis;
  readonly #worker: Worker<DrawJob, Result, "draw">;
  readonly #local: JobQueue;
  readonly #running = new Map<string, AbortController>();
  readonly #key = `${WORKERS}${process.pid}:${Math.random().toString(36).slice(2)}`;
  readonly #timer: NodeJS.Timeout;

  constructor(url: string, local: JobQueue, concurrency: number) {
    this.#redis = connectionTo(url);
    this.#listener = connectionTo(url);
    this.#local = local;
    this.#worker = new Worker(NAME, (job) => this.#draw(job), {
      connection: { url, maxRetriesPerRequest: null },
      concurrency,
      lockDuration: LOCK,
      stalledInterval: LOCK / 2,
      maxStalledCount: MOST_CRASHES,
    });
    this.#worker.on("error", (error) => console.error(`Redis: ${error.message}`));
    void this.#listener.subscribe(STOPS);
    this.#listener.on("message", (_, id: string) => this.#running.get(id)?.abort(new Error("The client has gone.")));
    this.#timer = setInterval(() => void this.#tellModels(), HEARTBEAT);
    void this.#tellModels();
  }

  /** Finishes the jobs that are drawn, and takes no more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#redis.del(this.#key);
    await this.#worker.close();
    this.#redis.disconnect();
    this.#listener.disconnect();
    await this.#local.close(0);
  }

  async #tellModels(): Promise<void> {
    const models = await this.#local.models();
    await this.#redis.set(this.#key, JSON.stringify(models), "PX", 3 * HEARTBEAT);
  }

  async #draw(job: Job<DrawJob, Result, "draw">): Promise<Result> {
    const abort = new AbortController();
    this.#running.set(job.id!, abort);
    try {
      const onEvent = (event: DrawEvent) => void job.updateProgress(event).catch(() => undefined);
      return await this.#local.submit(job.data, { client: "redis", signal: abort.signal, onEvent });
    } catch (error) {
      const { name, message } = error as Error;
      throw new UnrecoverableError(name === "DrawRequestError" ? `${OF_THE_REQUEST}${message}` : message);
    } finally {
      this.#running.delete(job.id!);
    }
  }
}

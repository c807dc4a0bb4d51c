import { DisposedError } from "../platform/disposed.js";
import { type ErrorClass, revived } from "./carried-errors.js";
import { type Endpoint, listen } from "./endpoint.js";
import { type FromWorker, isMessage, type ToWorker } from "./messages.js";
import type { Task, TaskContext, Tasks } from "./serve-tasks.js";

/** What a task takes, gives back and reports. */
type Input<T extends Task> = Parameters<T>[0];
type Result<T extends Task> = Awaited<ReturnType<T>>;
type Progress<T extends Task> = Parameters<T>[1] extends TaskContext<infer P> ? P : never;

/** How to call a task. */
export interface CallOptions<Progress> {
  /** Stops the task; the call rejects with the signal's reason at once. */
  signal?: AbortSignal;
  /** Called with each report of the task. */
  onProgress?: (progress: Progress) => void;
}

/** Rejects calls that a newer call of {@link WorkerClient.latest} has replaced. Its `name` is "AbortError". */
export class SupersededError extends Error {
  override name = "AbortError";
}

interface PendingCall {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onProgress?: ((progress: never) => void) | undefined;
}

/** Calls the tasks that a worker serves with `serveTasks`. Errors keep their class, message and fields. */
export class WorkerClient<T extends Tasks> {
  readonly #worker: Endpoint;
  readonly #errors: readonly ErrorClass[];
  readonly #pending = new Map<number, PendingCall>();
  #calls = 0;
  #failure: Error | undefined;

  /**
   * @param worker a `Worker` that serves the tasks, or a message port to one; the client owns it
   * @param errors your own classes of errors, which the tasks throw; those of this library are known
   */
  constructor(worker: Endpoint, { errors = [] }: { errors?: readonly ErrorClass[] } = {}) {
    this.#worker = worker;
    this.#errors = errors;
    listen(worker, { onMessage: (message) => this.#receive(message), onFailure: (error) => this.#fail(error) });
  }

  /**
   * Runs a task in the worker, after the calls before it.
   *
   * @returns what the task returns
   * @throws what the task throws; the reason of `signal`; DisposedError after `close`; Error if the worker failed
   */
  call<Name extends keyof T & string>(
    task: Name,
    input: Input<T[Name]>,
    { signal, onProgress }: CallOptions<Progress<T[Name]>> = {},
  ): Promise<Result<T[Name]>> {
    const id = ++this.#calls;
    return new Promise<unknown>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#failure) throw this.#failure;
      this.#send({ kind: "call", id, task, input }); // Throws for an input that cannot be copied.
      const stop = () => {
        if (!this.#pending.delete(id)) return;
        this.#send({ kind: "stop", id });
        reject(signal!.reason as Error);
      };
      signal?.addEventListener("abort", stop, { once: true });
      const settled = (settle: (value: unknown) => void) => (value: unknown) => {
        signal?.removeEventListener("abort", stop);
        settle(value);
      };
      this.#pending.set(id, { resolve: settled(resolve), reject: settled(reject), onProgress });
    }) as Promise<Result<T[Name]>>;
  }

  /**
   * A function that calls a task, and first stops its own call before, so that a drawing follows what is typed: the
   * stopped call rejects with a {@link SupersededError}.
   */
  latest<Name extends keyof T & string>(task: Name) {
    let newer = new AbortController();
    return (input: Input<T[Name]>, options: CallOptions<Progress<T[Name]>> = {}): Promise<Result<T[Name]>> => {
      newer.abort(new SupersededError(`${task}: a newer call has replaced this one.`));
      newer = new AbortController();
      const { signal } = newer;
      return this.call(task, input, {
        ...options,
        signal: options.signal ? AbortSignal.any([signal, options.signal]) : signal,
      });
    };
  }

  /** Ends the worker, or closes the port. Calls that have not ended reject with a DisposedError. */
  close(): void {
    for (const id of this.#pending.keys()) this.#send({ kind: "stop", id }); // A port's other end goes on otherwise.
    this.#fail(new DisposedError("WorkerClient: it was closed; make a new one, with a new worker."));
    if (this.#worker.terminate) void this.#worker.terminate();
    else this.#worker.close?.();
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: unknown): void {
    if (!isMessage<FromWorker>(message, ["progress", "result", "error"])) return;
    const call = this.#pending.get(message.id);
    if (!call) return; // It was stopped.
    if (message.kind === "progress") return call.onProgress?.(message.progress as never);
    this.#pending.delete(message.id);
    if (message.kind === "result") call.resolve(message.result);
    else call.reject(revived(message.error, this.#errors));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const call of this.#pending.values()) call.reject(error);
    this.#pending.clear();
  }
}

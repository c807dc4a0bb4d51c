import { eventLoopTurn } from "../platform/event-loop.js";
import { nearestNote } from "../platform/nearest-names.js";
import { carried } from "./carried-errors.js";
import { type Endpoint, listen } from "./endpoint.js";
import { type FromWorker, isMessage, type ToWorker } from "./messages.js";

/** What a task is given besides its input. */
export interface TaskContext<Progress = unknown> {
  /** Aborts when the page stops the call. */
  readonly signal: AbortSignal;
  /** Sends the page news of the work. */
  report(progress: Progress): void;
}

/**
 * A function that a page can call in a worker. Inputs, results and progress are copied as `structuredClone` copies
 * them: plain objects, typed arrays and blobs, but no tensors, no functions and no instances of classes.
 */
export type Task<Input = never, Result = unknown, Progress = never> = (
  input: Input,
  context: TaskContext<Progress>,
) => Result | Promise<Result>;

/** Tasks by their names. */
export type Tasks = Readonly<Record<string, Task>>;

/**
 * Lets the page at the other end call these tasks. They run one at a time, in the order of the calls, because they
 * share one TensorFlow.js.
 *
 * @param endpoint the end of the channel. Default: that of the worker this runs in; in Node, give `parentPort`
 */
export function serveTasks(tasks: Tasks, endpoint: Endpoint = globalThis): void {
  const calls = new Map<number, AbortController>();
  const send = (message: FromWorker) => endpoint.postMessage(message);
  let queue = Promise.resolve();

  async function answer({ id, task: name, input }: Extract<ToWorker, { kind: "call" }>, signal: AbortSignal) {
    try {
      await eventLoopTurn(); // Messages that have arrived meanwhile may stop this call.
      signal.throwIfAborted();
      const report = (progress: unknown) => send({ kind: "progress", id, progress });
      const result = await taskNamed(tasks, name)(input as never, { signal, report });
      signal.throwIfAborted();
      send({ kind: "result", id, result });
    } catch (error) {
      send({ kind: "error", id, error: carried(error) });
    } finally {
      calls.delete(id);
    }
  }

  listen(endpoint, {
    onMessage(message) {
      if (!isMessage<ToWorker>(message, ["call", "stop"])) return;
      if (message.kind === "stop") {
        calls.get(message.id)?.abort();
      } else {
        const abort = new AbortController();
        calls.set(message.id, abort);
        queue = queue.then(() => answer(message, abort.signal));
      }
    },
  });
}

/** @throws RangeError if there is no such task */
function taskNamed(tasks: Tasks, name: string): Task {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task) return task;
  const names = Object.keys(tasks);
  throw new RangeError(
    `The worker has no task "${name}"${nearestNote(name, names)}; its tasks are ${names.join(", ")}.`,
  );
}

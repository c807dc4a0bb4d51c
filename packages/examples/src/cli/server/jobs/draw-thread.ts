/**
 * The thread that draws. It opens the models that it is started with, says what they can do, and then draws one job
 * after the other. Messages: see `thread-messages.ts`.
 */
import { parentPort, workerData } from "node:worker_threads";
import { backendFor } from "../../options/backend-for.js";
import { modelFrom } from "../../options/model-from.js";
import { Drawer } from "./drawer.js";
import { DrawRequestError } from "./draw-job.js";
import type { FromThread, StartOfThread, ToThread } from "./thread-messages.js";

const port = parentPort!;
const { models, backend } = workerData as StartOfThread;
const say = (message: FromThread) => port.postMessage(message);

const { name } = await backendFor(backend, ...models.map(modelFrom));
const drawer = await Drawer.open(models);
let running: { id: number; abort: AbortController } | undefined;

port.on("message", (message: ToThread) => {
  if (message.type === "draw") void draw(message);
  else if (running?.id === message.id) running.abort.abort(new Error("The drawing was stopped."));
});
say({ type: "ready", models: drawer.models, backend: name });

async function draw({ id, job }: ToThread & { type: "draw" }): Promise<void> {
  const abort = new AbortController();
  running = { id, abort };
  try {
    const { signal } = abort;
    const pictures = await drawer.draw(job, { signal, onEvent: (event) => say({ type: "event", id, event }) });
    say({ type: "done", id, pictures });
  } catch (error) {
    const isRequest = error instanceof DrawRequestError;
    say({ type: "failed", id, message: (error as Error).message, isRequest, isStopped: abort.signal.aborted });
  } finally {
    running = undefined;
  }
}

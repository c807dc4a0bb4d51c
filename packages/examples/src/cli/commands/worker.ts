import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { RedisWorker } from "../server/jobs/redis-queue.js";
import { ThreadQueue } from "../server/jobs/thread-queue.js";
import { ifGiven, oneOf, parseOptions, whole } from "../options/option-values.js";
import { UsageError } from "../options/usage-error.js";
import { stopSignal } from "./serve.js";

export const WORKER_HELP = `Draws what servers (npm start -- serve) put into a queue on Redis.

  REDIS_URL=redis://localhost npm start -- worker
  REDIS_URL=redis://localhost npm start -- worker --model PATH     give --model again for several

  --threads N       how many pictures are drawn at once (default 1); each thread holds the models
  --backend NAME    ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
`;

const OPTIONS = {
  model: { type: "string", multiple: true },
  threads: { type: "string", default: "1" },
  backend: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** `diffusion worker`: draws for servers on this or other machines. Ends at Ctrl-C or SIGTERM, after its drawing. */
export async function worker(args: string[]): Promise<void> {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return console.log(WORKER_HELP);
  if (positionals.length > 0)
    throw new UsageError(`${positionals[0]}: worker takes no words; give a model by --model.`);
  const models = values.model ?? ["portraits"];
  const url = process.env.REDIS_URL;
  if (!url) throw new UsageError("worker takes its jobs from Redis: set REDIS_URL, such as redis://localhost:6379.");
  const threads = whole("threads", values.threads, 1, 64);
  const backend = ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]);
  // The servers bound the queue; here are never more jobs than threads.
  const unbounded = { waiting: Number.MAX_SAFE_INTEGER, waitingOfOne: Number.MAX_SAFE_INTEGER };
  const local = await ThreadQueue.start({ models, backend, threads, ...unbounded });
  const drawing = new RedisWorker(url, local, threads);
  console.log(`Drawing for ${url} with ${models.join(", ")}. Ctrl-C ends it.`);
  await stopSignal();
  await drawing.close();
}

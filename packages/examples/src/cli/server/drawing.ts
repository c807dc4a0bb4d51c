import type { FastifyReply, FastifyRequest } from "fastify";
import type { Metrics } from "./metrics.js";
import { ApiError, ClientGone } from "./errors.js";
import type { DrawEvent, DrawJob, DrawnPicture, JobQueue, ModelInfo } from "./jobs/draw-job.js";
import { SAMPLERS } from "./jobs/samplers.js";
import type { ServerSettings } from "./settings.js";
import type { StoredPictures } from "./stored-pictures.js";

/** What the routes work with. */
export interface ServerParts {
  settings: ServerSettings;
  queue: JobQueue;
  metrics: Metrics;
  stored: StoredPictures;
}

/** Aborts when the client goes before its answer is complete. */
export function untilGone({ raw }: FastifyReply): AbortController {
  const abort = new AbortController();
  raw.once("close", () => {
    if (!raw.writableFinished) abort.abort(new ClientGone("The client has gone."));
  });
  return abort;
}

/**
 * The model that a request names, or the first.
 *
 * @throws ApiError 404 if there is none of that name, 503 if there is none at all
 */
export async function modelOf({ queue, settings }: ServerParts, name: string | undefined): Promise<ModelInfo> {
  const models = await queue.models();
  const [first] = models;
  if (!first) throw new ApiError(503, "No worker is there to draw. Start one.", { code: "unavailable", retryAfter: 5 });
  if (name === undefined) return first;
  const id = settings.aliases.get(name) ?? name;
  const found = models.find((model) => model.id === id);
  if (found) return found;
  throw new ApiError(404, `The model '${name}' does not exist. The models are ${models.map((m) => m.id).join(", ")}.`, {
    param: "model",
    code: "model_not_found",
  });
}

/** @throws ApiError for a size above the limit, which is relative to the model's own size */
export function requireArea(model: ModelInfo, param: string, width: number, height: number, most: number): void {
  const own = model.width * model.height;
  if (width * height <= most * own) return;
  throw new ApiError(
    400,
    `Invalid value for '${param}': ${width}x${height} is too large. ${model.id} draws ${model.width}x${model.height} ` +
      `best, and at most ${most} times as many pixels here.`,
    { param, code: "invalid_value" },
  );
}

/** @throws ApiError unless the model takes the option */
export function requireOption(model: ModelInfo, option: string, param: string): void {
  if (model.options.includes(option)) return;
  throw new ApiError(400, `The model '${model.id}' does not take '${param}'.`, {
    param,
    code: "unsupported_parameter",
  });
}

/**
 * The scheduler's keys of a sampler.
 *
 * @throws ApiError if there is no such sampler, or if it does not work with the model
 */
export function samplerNamed(model: ModelInfo, asked: string): Readonly<Record<string, unknown>> {
  const name = Object.keys(SAMPLERS).find((each) => each.toLowerCase() === asked.toLowerCase());
  if (name !== undefined && model.samplers.includes(name)) return SAMPLERS[name]!;
  const why = name === undefined ? "there is no such sampler" : `it does not work with ${model.id}`;
  throw new ApiError(404, `Sampler not found: ${asked}: ${why}. GET /sdapi/v1/samplers lists them.`, {
    param: "sampler_name",
  });
}

/** Draws a job, and resolves to its pictures. */
export async function drawPictures(
  { queue, metrics }: ServerParts,
  job: DrawJob,
  { client, signal, onEvent }: { client: string; signal: AbortSignal; onEvent?: (event: DrawEvent) => void },
): Promise<readonly DrawnPicture[]> {
  const end = metrics.beginDrawing(job.model);
  try {
    const pictures = await queue.submit(job, { client, signal, ...(onEvent && { onEvent }) });
    end(pictures.length);
    return pictures;
  } catch (error) {
    end(0);
    throw error;
  }
}

/** Draws a job, and yields what happens. */
export async function* drawEvents(
  parts: ServerParts,
  job: DrawJob,
  { client, signal }: { client: string; signal: AbortSignal },
): AsyncGenerator<DrawEvent, void, undefined> {
  const events: DrawEvent[] = [];
  let wake = () => {};
  let end: { error?: unknown } | undefined;
  const onEvent = (event: DrawEvent) => {
    events.push(event);
    wake();
  };
  drawPictures(parts, job, { client, signal, onEvent })
    .then(
      () => (end = {}),
      (error: unknown) => (end = { error }),
    )
    .finally(() => wake());
  for (;;) {
    while (events.length > 0) yield events.shift()!;
    if (end) break;
    await new Promise<void>((resolve) => (wake = resolve));
  }
  if ("error" in end) throw end.error;
}

/** The address under which the client reached this server. */
export function ownAddress({ protocol, headers }: FastifyRequest): string {
  return `${protocol}://${headers.host}`;
}

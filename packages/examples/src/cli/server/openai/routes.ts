import { randomInt } from "node:crypto";
import { Readable } from "node:stream";
import { type FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type TSchema, Type } from "typebox";
import { apiErrorOf } from "../answers.js";
import {
  drawEvents,
  drawPictures,
  modelOf,
  ownAddress,
  requireArea,
  requireOption,
  type ServerParts,
  untilGone,
} from "../drawing.js";
import { ApiError } from "../errors.js";
import { clientOf } from "../guard.js";
import type { DrawEvent, DrawJob, DrawnPicture, ModelInfo } from "../jobs/draw-job.js";
import { readForm } from "./form.js";
import { Edit, ErrorBody, Generation, Model, Pictures, Variation } from "./schemas.js";

/** How much of a picture a variation of it draws anew, where the model has no better way. */
const VARIATION_STRENGTH = 0.6;

/** Steps by quality, as a multiple of the model's usual number. */
const QUALITY: Readonly<Record<string, number>> = { low: 0.5, high: 2, hd: 2 };

const FORM = { consumes: ["multipart/form-data"] };
const ERRORS = { "4xx": ErrorBody, "5xx": ErrorBody };
const DRAWN = { 200: Pictures, ...ERRORS };

/** `/v1`: OpenAI's image API. */
export const openaiRoutes: FastifyPluginAsyncTypebox<ServerParts> = async (app, parts) => {
  const { limits } = parts.settings;

  app.setErrorHandler((error: Error, request, reply) => {
    const { status, message, details } = apiErrorOf(error);
    if (status >= 500) request.log.error(error);
    if (details.retryAfter !== undefined) void reply.header("retry-after", String(details.retryAfter));
    return reply.status(status).send({
      error: { message, type: errorType(status), param: details.param ?? null, code: details.code ?? null },
    });
  });

  app.get("/models", { schema: { summary: "The models", response: { 200: ModelList } } }, async () => {
    const models = await parts.queue.models();
    return { object: "list" as const, data: models.map(({ id }) => modelBody(id)) };
  });

  app.get(
    "/models/:model",
    {
      schema: {
        summary: "One model",
        params: Type.Object({ model: Type.String() }),
        response: { 200: Model, ...ERRORS },
      },
    },
    async ({ params }) => modelBody((await modelOf(parts, params.model)).id),
  );

  app.post(
    "/images/generations",
    { schema: { summary: "Draw pictures from a prompt", body: Generation, response: DRAWN } },
    async (request, reply) => {
      const { body } = request;
      const model = await modelOf(parts, body.model);
      requireOption(model, "prompt", "prompt");
      const job = jobOf(model, body, parts, { prompt: body.prompt });
      return answer({ parts, request, reply, body, job, model, kind: "image_generation" });
    },
  );

  app.post(
    "/images/edits",
    { schema: { summary: "Draw a part of a picture anew, or all of it", ...FORM, response: DRAWN } },
    async (request, reply) => {
      const { fields, files } = await readForm(request, ["image", "mask"], limits.sentPixels);
      const body = checked<Edit>(request, Edit, fields);
      const model = await modelOf(parts, body.model);
      for (const option of ["prompt", "image"]) requireOption(model, option, option);
      const mask = files.get("mask");
      if (mask) requireOption(model, "mask", "mask");
      const job: DrawJob = {
        ...jobOf(model, body, parts, { prompt: body.prompt }),
        image: requiredFile(files, "image"),
        ...(mask && { mask: { data: mask.toString("base64"), redrawn: "transparent" } }),
        ...(model.options.includes("mask") && { isMaskedByAlpha: true }),
      };
      return answer({ parts, request, reply, body, job, model, kind: "image_edit" });
    },
  );

  app.post(
    "/images/variations",
    { schema: { summary: "Draw pictures like a given one", ...FORM, response: DRAWN } },
    async (request, reply) => {
      const { fields, files } = await readForm(request, ["image"], limits.sentPixels);
      const body = checked<Variation>(request, Variation, fields);
      const model = await modelOf(parts, body.model);
      requireOption(model, "image", "image");
      const redrawn: Record<string, string | number> =
        model.input === "image" ? {} : { prompt: "", strength: VARIATION_STRENGTH };
      const job = { ...jobOf(model, body, parts, redrawn), image: requiredFile(files, "image") };
      return answer({ parts, request, reply, body, job, model, kind: "image_variation" });
    },
  );
};

const ModelList = Type.Object({ object: Type.Literal("list"), data: Type.Array(Model) });

const STARTED = Math.floor(Date.now() / 1000);

const modelBody = (id: string) => ({ id, object: "model" as const, created: STARTED, owned_by: "tfjs-diffusion" });

function errorType(status: number): string {
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** @throws the validator's error for fields that the schema does not allow */
function checked<T>(request: FastifyRequest, schema: TSchema, fields: unknown): T {
  const validate = request.compileValidationSchema(schema);
  if (validate(fields)) return fields as T;
  throw Object.assign(new Error("invalid form"), { validation: validate.errors });
}

function requiredFile(files: ReadonlyMap<string, Buffer>, param: string): string {
  const file = files.get(param);
  if (file) return file.toString("base64");
  throw new ApiError(400, `Missing required parameter: '${param}'.`, { param, code: "missing_required_parameter" });
}

/** @throws ApiError for numbers and sizes above the limits */
function jobOf(
  model: ModelInfo,
  { n = 1, size = "auto", quality = "auto", stream, partial_images = 0 }: Partial<Generation>,
  { settings: { limits } }: ServerParts,
  options: Record<string, string | number>,
): DrawJob {
  if (n > limits.pictures) {
    throw new ApiError(400, `Invalid value for 'n': at most ${limits.pictures} pictures are drawn at once.`, {
      param: "n",
      code: "invalid_value",
    });
  }
  if (partial_images > 0 && stream !== true) {
    throw new ApiError(400, "'partial_images' needs 'stream': true.", {
      param: "partial_images",
      code: "invalid_value",
    });
  }
  const numInferenceSteps = Math.min(limits.steps, Math.max(1, Math.round(model.steps * (QUALITY[quality] ?? 1))));
  return {
    model: model.id,
    count: n,
    seed: randomInt(2 ** 32),
    previews: partial_images,
    options: { ...options, numInferenceSteps, ...sizeOf(model, size, limits.area) },
  };
}

function sizeOf(model: ModelInfo, size: string, area: number): { width?: number; height?: number } {
  if (size === "auto") return {};
  const [width, height] = size.split("x").map(Number) as [number, number];
  for (const option of ["width", "height"]) requireOption(model, option, "size");
  requireArea(model, "size", width, height, area);
  return { width, height };
}

interface Answer {
  parts: ServerParts;
  request: FastifyRequest;
  reply: FastifyReply;
  body: Partial<Generation>;
  job: DrawJob;
  model: ModelInfo;
  kind: "image_generation" | "image_edit" | "image_variation";
}

async function answer({ parts, request, reply, body, job, model, kind }: Answer): Promise<Pictures | FastifyReply> {
  const { signal } = untilGone(reply);
  const asked = { client: clientOf(request, body.user), signal };
  const { width = model.width, height = model.height } = job.options as { width?: number; height?: number };
  const facts = {
    background: "opaque",
    output_format: "png",
    quality: body.quality ?? "auto",
    size: `${width}x${height}`,
  };
  if (body.stream !== true) {
    const pictures = await drawPictures(parts, job, asked);
    const data = pictures.map((picture) => pictureBody(picture, { parts, request, format: body.response_format }));
    return { created: seconds(), data, ...facts };
  }
  const events = drawEvents(parts, job, asked);
  // The first event decides whether the answer is a stream or an error.
  const first = await events.next();
  const told = async function* (): AsyncGenerator<string> {
    let partial = 0;
    try {
      for (let next = first; !next.done; next = await events.next()) {
        const event = next.value;
        if (event.type === "step" && event.preview === undefined) continue;
        yield sse({ ...streamed(event, kind, () => partial++), created_at: seconds(), ...facts });
      }
    } catch (error) {
      const { message, details, status } = apiErrorOf(error as Error);
      yield sse({ type: "error", error: { message, type: errorType(status), code: details.code ?? null } });
    }
  };
  return reply
    .header("content-type", "text/event-stream; charset=utf-8")
    .header("cache-control", "no-store")
    .send(Readable.from(told()));
}

function streamed(event: DrawEvent, kind: string, count: () => number): { type: string } & Record<string, unknown> {
  if (event.type === "picture") return { type: `${kind}.completed`, b64_json: event.picture.png };
  return { type: `${kind}.partial_image`, b64_json: event.preview, partial_image_index: count() };
}

function pictureBody(
  { png }: DrawnPicture,
  { parts, request, format }: Pick<Answer, "parts" | "request"> & { format: string | undefined },
) {
  const url = () => `${ownAddress(request)}/pictures/${parts.stored.add(png)}`;
  return { ...(format !== "url" && { b64_json: png }), ...(format !== "b64_json" && { url: url() }) };
}

const seconds = () => Math.floor(Date.now() / 1000);

const sse = (data: { type: string } & Record<string, unknown>) =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

import { randomInt } from "node:crypto";
import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import { type Static, Type } from "typebox";
import type { WebSocket } from "ws";
import { apiErrorOf } from "./answers.js";
import { drawPictures, modelOf, requireArea, requireOption, samplerNamed, type ServerParts } from "./drawing.js";
import { ApiError } from "./errors.js";
import { clientOf } from "./guard.js";
import type { DrawJob } from "./jobs/draw-job.js";
import { pictureIn, STRENGTH } from "./sent-picture.js";

/** A message of a client: what it wants to see now. */
const Wish = Type.Object(
  {
    /** Comes back in the answers to this message. */
    id: Type.Optional(Type.Integer()),
    model: Type.Optional(Type.String()),
    prompt: Type.String({ maxLength: 2000 }),
    negative_prompt: Type.Optional(Type.String({ maxLength: 2000 })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })),
    steps: Type.Optional(Type.Integer({ minimum: 1 })),
    guidance: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    width: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    height: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    /** One of the names that `/sdapi/v1/samplers` lists. */
    sampler: Type.Optional(Type.String({ maxLength: 100 })),
    /** A picture to begin from, in base64, and where it is white drawn anew; `strength` says how much. */
    image: Type.Optional(Type.String()),
    mask: Type.Optional(Type.String()),
    strength: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    previews: Type.Optional(Type.Integer({ minimum: 0, maximum: 50 })),
  },
  { additionalProperties: false },
);
type Wish = Static<typeof Wish>;

/**
 * `/live`, a WebSocket: the picture follows the text. Each message of the client replaces the one before, whose drawing
 * is stopped. Answers: `{ type: "preview" | "picture", id, png, … }`, and `{ type: "error", id, message }`.
 */
export const liveRoutes: FastifyPluginAsyncTypebox<ServerParts> = async (app, parts) => {
  const { limits } = parts.settings;
  let connections = 0;
  app.get("/live", { websocket: true, schema: { hide: true } }, (socket: WebSocket, request) => {
    if (connections >= limits.live) {
      socket.close(1013, "Too many connections draw live; try again later.");
      return;
    }
    connections++;
    const drawing = new LiveDrawing(parts, socket, request);
    socket.on("message", (data) => void drawing.take((data as Buffer).toString("utf8")));
    socket.on("close", () => {
      connections--;
      drawing.stop();
    });
    socket.on("error", () => socket.terminate());
  });
};

/** The drawing of one connection: the latest wish is drawn, and no other. */
class LiveDrawing {
  readonly #parts: ServerParts;
  readonly #socket: WebSocket;
  readonly #request: FastifyRequest;
  #abort = new AbortController();

  constructor(parts: ServerParts, socket: WebSocket, request: FastifyRequest) {
    this.#parts = parts;
    this.#socket = socket;
    this.#request = request;
  }

  async take(text: string): Promise<void> {
    this.stop();
    const { signal } = (this.#abort = new AbortController());
    let id: number | undefined;
    try {
      const wish = this.#read(text);
      id = wish.id;
      const job = await jobOf(this.#parts, wish);
      signal.throwIfAborted();
      const client = clientOf(this.#request);
      const [picture] = await drawPictures(this.#parts, job, {
        client,
        signal,
        onEvent: (event) => {
          if (event.type === "step" && event.preview !== undefined) {
            const { preview, step, steps, timestep } = event;
            this.#say({ type: "preview", id, png: preview, step: step + 1, steps, timestep });
          }
        },
      });
      const { png, seed, width, height } = picture!;
      if (!signal.aborted) this.#say({ type: "picture", id, png, seed, width, height });
    } catch (error) {
      if (signal.aborted) return;
      const { message, details } = apiErrorOf(error as Error);
      this.#say({ type: "error", id, message, code: details.code ?? null });
    }
  }

  /** Stops what is drawn. */
  stop(): void {
    this.#abort.abort(new Error("A newer message came."));
  }

  /** @throws ApiError for a message that cannot be read */
  #read(text: string): Wish {
    let given: unknown;
    try {
      given = JSON.parse(text);
    } catch {
      throw new ApiError(400, "The message is not JSON.", { code: "invalid_value" });
    }
    const validate = this.#request.compileValidationSchema(Wish);
    if (validate(given)) return given as Wish;
    throw Object.assign(new Error("invalid message"), { validation: validate.errors });
  }

  #say(message: object): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

async function jobOf(parts: ServerParts, wish: Wish): Promise<DrawJob> {
  const { limits } = parts.settings;
  const model = await modelOf(parts, wish.model);
  requireOption(model, "prompt", "prompt");
  const { steps = model.steps, width = model.width, height = model.height } = wish;
  if (steps > limits.steps) {
    throw new ApiError(400, `Invalid value for 'steps': at most ${limits.steps}.`, { param: "steps" });
  }
  requireArea(model, "width", width, height, limits.area);
  const { image, mask } = wish;
  if (image === undefined && (mask ?? wish.strength) !== undefined) {
    throw new ApiError(400, "mask and strength need a picture to begin from: send 'image', too.", { param: "image" });
  }
  const given = {
    negativePrompt: wish.negative_prompt,
    guidanceScale: wish.guidance,
    strength: image === undefined ? undefined : (wish.strength ?? STRENGTH),
    width: wish.width,
    height: wish.height,
  };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  for (const option of Object.keys(options)) requireOption(model, option, option);
  if (mask !== undefined) requireOption(model, "mask", "mask");
  return {
    model: model.id,
    count: 1,
    seed: wish.seed ?? randomInt(2 ** 32),
    previews: wish.previews ?? 0,
    ...(wish.sampler !== undefined && { scheduler: samplerNamed(model, wish.sampler) }),
    ...(image !== undefined && { image: pictureIn("image", image, limits.sentPixels) }),
    ...(mask !== undefined && { mask: { data: pictureIn("mask", mask, limits.sentPixels), redrawn: "white" } }),
    options: { prompt: wish.prompt, numInferenceSteps: steps, ...(options as DrawJob["options"]) },
  };
}

import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { pngTexts } from "@tfjs-diffusion/core/image";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { apiErrorOf } from "../answers.js";
import { drawPictures, modelOf, type ServerParts, untilGone } from "../drawing.js";
import { clientOf } from "../guard.js";
import type { DrawJob, DrawnPicture, ModelInfo } from "../jobs/draw-job.js";
import { SPACINGS } from "../jobs/samplers.js";
import { pictureIn } from "../sent-picture.js";
import { jobOf, type WebuiOptions } from "./job.js";
import { Progress } from "./progress.js";
import { ImageToImage, Overrides, PngInfo, TextToImage } from "./schemas.js";

/** Statuses of the validator's errors there: FastAPI's. */
const UNPROCESSABLE = 422;

/** `/sdapi/v1`: AUTOMATIC1111's API. */
export const webuiRoutes: FastifyPluginAsyncTypebox<ServerParts> = async (app, parts) => {
  const set: WebuiOptions = { model: undefined, clipStop: 1 };
  const progress = new Progress();

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { status, message, details } = apiErrorOf(error);
    if (status >= 500) request.log.error(error);
    if (details.retryAfter !== undefined) void reply.header("retry-after", String(details.retryAfter));
    if (error.validation) {
      const detail = [{ loc: ["body", details.param], msg: message, type: details.code }];
      return reply.status(UNPROCESSABLE).send({ detail });
    }
    // A drawing that cannot be made as asked for is the request's fault, as a wrong value is.
    const answered = status === 400 ? UNPROCESSABLE : status;
    return reply.status(answered).send({ error: "HTTPException", detail: message, body: "", errors: message });
  });

  const draw = async (request: FastifyRequest<{ Body: TextToImage | ImageToImage }>, reply: FastifyReply) => {
    const { body } = request;
    const { job, model } = await jobOf(parts, set, body);
    const abort = untilGone(reply);
    const { entry, end } = progress.begin(job, abort);
    try {
      const onEvent = entry.hear;
      await drawPictures(parts, job, { client: clientOf(request), signal: abort.signal, onEvent });
    } catch (error) {
      if (!entry.isInterrupted) throw error;
    } finally {
      end();
    }
    const images = body.send_images === false ? [] : entry.pictures.map(({ png }) => png);
    return { images, parameters: body, info: JSON.stringify(infoOf(job, model, entry.pictures)) };
  };
  app.post("/txt2img", { schema: { summary: "Draw pictures from a prompt", body: TextToImage } }, draw);
  app.post("/img2img", { schema: { summary: "Draw over a picture", body: ImageToImage } }, draw);

  app.get(
    "/progress",
    {
      schema: {
        summary: "What is drawn now",
        querystring: Type.Object({ skip_current_image: Type.Optional(Type.String()) }),
      },
    },
    () => progress.now(),
  );
  app.post("/interrupt", { schema: { summary: "Stop the drawing; its finished pictures are returned" } }, () => {
    progress.interrupt();
    return {};
  });

  app.get("/samplers", { schema: { summary: "The samplers of the chosen model" } }, async () => {
    const { samplers } = await modelOf(parts, set.model);
    return samplers.map((name) => ({ name, aliases: [aliasOf(name)], options: {} }));
  });
  app.get("/schedulers", { schema: { summary: "Where the steps of a sampler may lie" } }, () =>
    Object.entries(SPACINGS).map(([name, { label }]) => ({
      name,
      label,
      aliases: null,
      default_rho: -1,
      need_inner_model: false,
    })),
  );
  app.get("/sd-models", { schema: { summary: "The models" } }, async () => {
    const models = await parts.queue.models();
    return models.map(({ id }) => ({
      title: id,
      model_name: id,
      hash: null,
      sha256: null,
      filename: id,
      config: null,
    }));
  });
  const optionsNow = async () => ({
    sd_model_checkpoint: (await modelOf(parts, set.model)).id,
    CLIP_stop_at_last_layers: set.clipStop,
    samples_format: "png",
  });
  app.get("/options", { schema: { summary: "Settings of later requests" } }, optionsNow);
  app.post("/options", { schema: { summary: "Change them", body: Overrides } }, async ({ body }) => {
    const { sd_model_checkpoint, CLIP_stop_at_last_layers } = body;
    if (sd_model_checkpoint != null) set.model = (await modelOf(parts, sd_model_checkpoint)).id;
    set.clipStop = CLIP_stop_at_last_layers ?? set.clipStop;
    return optionsNow();
  });

  app.post("/png-info", { schema: { summary: "The settings in a PNG file", body: PngInfo } }, ({ body }) => {
    const file = Buffer.from(pictureIn("image", body.image, parts.settings.limits.sentPixels), "base64");
    const items = pngTexts(file);
    return { info: items.parameters ?? "", items, parameters: {} };
  });
};

/** "DPM++ 2M SDE" as k_dpm++_2m_sde. */
const aliasOf = (name: string) => `k_${name.toLowerCase().replaceAll(" ", "_")}`;

/** What other programs show of finished pictures. */
function infoOf({ options, seed }: DrawJob, model: ModelInfo, pictures: readonly DrawnPicture[]) {
  const { prompt = "", negativePrompt = "", numInferenceSteps, guidanceScale = model.guidance, strength } = options;
  const all = <T>(value: T) => pictures.map(() => value);
  return {
    prompt,
    all_prompts: all(prompt),
    negative_prompt: negativePrompt,
    all_negative_prompts: all(negativePrompt),
    seed,
    all_seeds: pictures.map((picture) => picture.seed),
    width: pictures[0]?.width ?? model.width,
    height: pictures[0]?.height ?? model.height,
    cfg_scale: guidanceScale,
    steps: numInferenceSteps,
    batch_size: pictures.length,
    denoising_strength: strength ?? null,
    sd_model_name: model.id,
    index_of_first_image: 0,
    infotexts: pictures.map(({ text }) => text),
  };
}

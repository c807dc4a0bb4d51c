import * as tf from "@tensorflow/tfjs";
import {
  AutoencoderKL,
  CLIPTextModel,
  CLIPTextModelWithProjection,
  CLIPVisionModel,
  CLIPVisionModelWithProjection,
  ControlNetModel,
  type Model,
  PriorTransformer,
  type UNet2DConditionConfig,
  type UNet2DConditionInputs,
  UNet2DConditionModel,
  UNet2DModel,
} from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { UsageError } from "../options/usage-error.js";

/** One forward pass of a network, and what it reads. */
export interface ExamplePass {
  forward(): tf.Tensor;
  /** The caller owns them. */
  inputs: Record<string, tf.Tensor>;
}

/** SDXL tells six numbers of a picture's size. */
const TIME_IDS = 6;

/**
 * A pass on noise, of the size that the config names.
 *
 * @throws UsageError for a network that is not met alone
 */
export function examplePass(model: Model, batch: number, tokens: number): ExamplePass {
  const noise = keyedNoise(1);
  const vectors = (...shape: number[]) => noise.at(shape.join()).normal([batch, ...shape]);
  const picture = (size: number | [number, number] | null, channels: number) => {
    const [height, width] = typeof size === "number" ? [size, size] : (size ?? [64, 64]);
    return vectors(height, width, channels) as tf.Tensor4D;
  };
  const classes = (count: number | null) => (count === null ? undefined : tf.zeros([batch], "int32"));

  if (model instanceof UNet2DConditionModel || model instanceof ControlNetModel) {
    const x = picture("sample_size" in model.config ? model.config.sample_size : null, model.config.in_channels);
    const { context, ...added } = conditions(model.config, tokens, vectors);
    if (model instanceof UNet2DConditionModel)
      return { forward: () => model.forward(x, 500, context, added), inputs: { x, context, ...added } };
    const { conditioning_channels, conditioning_embedding_out_channels: widths } = model.config;
    const factor = 2 ** (widths.length - 1);
    const cond = picture([x.shape[1] * factor, x.shape[2] * factor], conditioning_channels);
    const forward = () => model.forward(x, 500, context, cond, added).midResidual;
    return { forward, inputs: { x, context, cond, ...added } };
  }
  if (model instanceof UNet2DModel) {
    const { sample_size, in_channels, class_embed_type, num_class_embeds } = model.config;
    const x = picture(sample_size, in_channels);
    const classLabels = classes(class_embed_type === null ? num_class_embeds : 1);
    return {
      forward: () => model.forward(x, 500, { classLabels }),
      inputs: { x, ...(classLabels && { classLabels }) },
    };
  }
  if (model instanceof CLIPTextModel || model instanceof CLIPTextModelWithProjection) {
    const ids = tf.zeros<tf.Rank.R2>([batch, model.config.max_position_embeddings], "int32");
    return { forward: () => model.forward(ids).lastHiddenState, inputs: { ids } };
  }
  if (model instanceof CLIPVisionModel || model instanceof CLIPVisionModelWithProjection) {
    const pixels = picture(model.config.image_size, model.config.num_channels);
    return { forward: () => model.forward(pixels).pooled, inputs: { pixels } };
  }
  if (model instanceof AutoencoderKL) {
    const { sample_size, block_out_channels, latent_channels } = model.config;
    const latents = picture(sample_size / 2 ** (block_out_channels.length - 1), latent_channels);
    return { forward: () => model.decode(latents), inputs: { latents } };
  }
  if (model instanceof PriorTransformer) {
    const { embedding_dim, embedding_proj_dim, num_embeddings, encoder_hid_proj_type } = model.config;
    const x = vectors(embedding_dim) as tf.Tensor2D;
    const projEmbedding = vectors(embedding_proj_dim ?? embedding_dim) as tf.Tensor2D;
    const added = encoder_hid_proj_type && { hiddenStates: vectors(num_embeddings, embedding_dim) as tf.Tensor3D };
    const read = { projEmbedding, ...added };
    return { forward: () => model.forward(x, 500, read), inputs: { x, ...read } };
  }
  throw new UsageError(
    `A ${model.constructor.name} cannot be profiled: give a UNet, ControlNetModel, AutoencoderKL, PriorTransformer, or a tower of CLIP.`,
  );
}

/** What a UNet and a ControlNet both read. */
type Conditions = Pick<UNet2DConditionInputs, "textEmbeds" | "timeIds" | "classLabels"> & { context: tf.Tensor3D };

/** All that a config says a conditional UNet reads besides latents and time. */
function conditions(
  config: Pick<
    UNet2DConditionConfig,
    | "addition_embed_type"
    | "addition_time_embed_dim"
    | "block_out_channels"
    | "class_embed_type"
    | "cross_attention_dim"
    | "encoder_hid_dim"
    | "num_class_embeds"
    | "projection_class_embeddings_input_dim"
  >,
  tokens: number,
  vectors: (...shape: number[]) => tf.Tensor,
): Conditions {
  const context = vectors(tokens, config.encoder_hid_dim ?? [config.cross_attention_dim].flat()[0]!) as tf.Tensor3D;
  const [batch] = context.shape;
  const width = config.projection_class_embeddings_input_dim;
  const read: Conditions = { context };
  const { class_embed_type: type } = config;
  if (type === "timestep" || (type === null && config.num_class_embeds !== null))
    read.classLabels = tf.zeros([batch], "int32");
  else if (type !== null) {
    read.classLabels = vectors(type === "identity" ? 4 * config.block_out_channels[0]! : width!);
  }
  if (config.addition_embed_type === "text_time") {
    read.timeIds = vectors(TIME_IDS) as tf.Tensor2D;
    read.textEmbeds = vectors(width! - TIME_IDS * config.addition_time_embed_dim!) as tf.Tensor2D;
  }
  return read;
}

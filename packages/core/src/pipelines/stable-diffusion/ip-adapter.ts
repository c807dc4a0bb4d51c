import * as tf from "@tensorflow/tfjs";
import { type BlockScales, requireBlockScales } from "../../adapters/block-scale.js";
import type { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import type { ConditionalDenoiser, ContextAttention, ImageStates } from "../../models/denoiser.js";
import { libraryAndClass } from "../../models/library-and-class.js";
import type { IPAdapter } from "../../models/unet/ip-adapter.js";
import { optionNames, requireKnownOptions } from "../../platform/known-options.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { PipelineOptionError } from "../options/errors.js";
import { requireOption, requireTensor } from "../options/option-checks.js";
import { shown } from "../options/shown.js";

/** A picture as a prompt: an IP-Adapter, and what it reads. Borrowed. */
export interface IPAdapterInput {
  model: IPAdapter;
  /** CLIP's vision tower that the adapter was trained with; needed for an `image`. */
  imageEncoder?: CLIPVisionModelWithProjection;
  /** In [0, 1], [H, W, 3], or several pictures [N, H, W, 3] that are read together; of any size. */
  image?: tf.Tensor3D | tf.Tensor4D;
  /** In place of `image`: what `ipAdapterEmbeds` returns. Without guidance, the second row is enough. */
  imageEmbeds?: tf.Tensor3D | tf.Tensor4D;
  /**
   * How strongly the picture acts. Default 1. As in diffusers' `set_ip_adapter_scale`, it may be given for single
   * blocks; those that are not named have scale 0: `{ up: { block_0: [0, 1, 0] } }`.
   */
  scale?: number | BlockScales;
  /**
   * Where the picture acts (values of 0.5 and more): [H, W] or [H, W, 1], of the size of what is drawn. Give an entry
   * for each picture and its mask.
   */
  mask?: tf.Tensor2D | tf.Tensor3D;
}

const KEYS = optionNames<IPAdapterInput>()({
  model: true,
  imageEncoder: true,
  image: true,
  imageEmbeds: true,
  scale: true,
  mask: true,
});

/** A drawing, for the checks of networks beside its denoiser. */
export interface BesideDrawing {
  denoiser: ConditionalDenoiser;
  /** Height and width of the latents. */
  latents: readonly [number, number];
  /** Height and width in pixels. */
  size: readonly [number, number];
  /** Whether any step also calls the denoiser with negative prompts. */
  isGuided: boolean;
}

/**
 * @param name the name of the option
 * @param drawing its denoiser has `contextAttentions`
 * @throws PipelineOptionError before any work
 */
export function checkIPAdapter(name: string, input: IPAdapterInput, drawing: BesideDrawing): void {
  requireKnownOptions(name, input, KEYS, PipelineOptionError);
  const { model, imageEncoder, image, imageEmbeds, scale = 1, mask } = input;
  requireOption(isOf(model, "IPAdapter"), `${name}.model`, shown(model), "an IPAdapter, as loadModel gives");
  const { denoiser, latents } = drawing;
  const layers = denoiser.contextAttentions!(...latents);
  const same = (what: string, given: unknown, wanted: unknown) =>
    requireOption(
      given === wanted,
      `${name}.model, ${what}`,
      given,
      `${String(wanted)}, as the pipeline's denoiser has; use an IP-Adapter that was trained for this model`,
    );
  const { attention_widths, cross_attention_dim } = model.config;
  same("cross_attention_dim", cross_attention_dim, denoiser.contextWidth);
  same("attention_widths", attention_widths.join(), layers.map(({ shape }) => shape[2]).join());
  if ((image === undefined) === (imageEmbeds === undefined)) {
    throw new PipelineOptionError(
      `${name}.image, ${name}.imageEmbeds: ${image === undefined ? "neither is" : "both are"} given; give one of them.`,
    );
  }
  const pictures = image ? checkImage(name, image, model, imageEncoder) : checkEmbeds(name, input, drawing.isGuided);
  checkScale(name, scale, layers);
  if (mask === undefined) return;
  const [height, width] = drawing.size;
  requireTensor(`${name}.mask`, mask);
  const shape = mask.shape.join();
  const fits = shape === [height, width].join() || shape === [height, width, 1].join();
  requireOption(fits, `${name}.mask`, shown(mask), `[${height}, ${width}], the size of what is drawn`);
  requireOption(
    pictures === 1,
    `${name}.mask`,
    `one for ${pictures} pictures`,
    "an entry for each picture and its mask",
  );
}

/** Asks a network's config, so that drawings without an IP-Adapter do not load its classes. */
function isOf<Network>(network: unknown, className: string): network is Network {
  const { config } = (network ?? {}) as { config?: unknown };
  return typeof config === "object" && config !== null && libraryAndClass(config).className === className;
}

/** Returns the number of pictures. */
export function checkImage(name: string, image: tf.Tensor, model: IPAdapter, encoder: unknown): number {
  requireTensor(`${name}.image`, image);
  const fits = [3, 4].includes(image.rank) && image.shape.at(-1) === 3 && image.size > 0;
  requireOption(fits, `${name}.image`, shown(image), "[H, W, 3] or [N, H, W, 3]");
  requireOption(
    isOf<CLIPVisionModelWithProjection>(encoder, "CLIPVisionModelWithProjection"),
    `${name}.imageEncoder`,
    shown(encoder),
    "a CLIPVisionModelWithProjection to read the image with, as loadModel gives; or give imageEmbeds",
  );
  requireEncoder(`${name}.imageEncoder`, model, encoder);
  return image.rank === 4 ? image.shape[0] : 1;
}

function requireEncoder(name: string, model: IPAdapter, { config }: CLIPVisionModelWithProjection): void {
  const key = model.readsPatches ? "hidden_size" : "projection_dim";
  const wanted = model.config.image_embed_dim;
  requireOption(
    config[key] === wanted,
    `${name}, ${key}`,
    config[key],
    `${wanted}, that of the adapter's image encoder`,
  );
}

/** Returns the number of pictures. */
function checkEmbeds(name: string, { model, imageEncoder, imageEmbeds }: IPAdapterInput, isGuided: boolean): number {
  requireOption(
    imageEncoder === undefined,
    `${name}.imageEncoder`,
    "given with imageEmbeds",
    "one of them, as the embeddings need no encoder",
  );
  const { image_embed_dim: width } = model.config;
  requireTensor(`${name}.imageEmbeds`, imageEmbeds);
  const [rows, pictures, ...rest] = imageEmbeds!.shape as number[];
  const fits =
    (rows === 2 || (rows === 1 && !isGuided)) &&
    rest.length === (model.readsPatches ? 2 : 1) &&
    rest.at(-1) === width &&
    imageEmbeds!.size > 0;
  const wanted = ["pictures", ...(model.readsPatches ? ["states"] : []), width].join(", ");
  const first = isGuided ? "[2" : "[1 or 2";
  const why = isGuided ? "; the first row is for the negative prompt" : "";
  requireOption(fits, `${name}.imageEmbeds`, shown(imageEmbeds), `${first}, ${wanted}]${why}`);
  return pictures!;
}

function checkScale(name: string, scale: unknown, layers: readonly ContextAttention[]): void {
  const option = `${name}.scale`;
  if (typeof scale !== "object" || scale === null) {
    requireOption(Number.isFinite(scale), option, scale, "a finite number, or one for each block");
    return;
  }
  try {
    const names = layers.map((layer) => layer.name);
    requireBlockScales(`${option}: `, "", scale, names);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PipelineOptionError(error.message, { cause: error });
  }
}

/** The rows that belong to the prompts, of states with guidance. */
export function promptedStates(states: Record<string, ImageStates[]>): Record<string, ImageStates[]> {
  const half = (x: tf.Tensor3D) => tf.split<tf.Tensor3D>(x, 2)[1]!;
  return Object.fromEntries(
    Object.entries(states).map(([name, all]) => [
      name,
      all.map(({ keys, values, mask }) => ({ keys: half(keys), values: half(values), mask })),
    ]),
  );
}

/** The states of a slice's pictures. Borrows its argument; runs in a tidy. */
export function statesOfSlice(states: Record<string, ImageStates[]>, slice: Slice): Record<string, ImageStates[]> {
  return Object.fromEntries(
    Object.entries(states).map(([name, all]) => [
      name,
      all.map(({ keys, values, mask }) => ({
        keys: rowsOfSlice(keys, slice),
        values: rowsOfSlice(values, slice),
        mask,
      })),
    ]),
  );
}

import { configFolder } from "../hub/model-source.js";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { buildModel } from "../models/build-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import type { Model } from "../models/model.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { joinPath } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import { readConfig } from "../weights/model-folder.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { readParameters, type WeightPrecision } from "../weights/parameters.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import {
  type CheckpointFamily,
  checkpointFamily,
  FAMILIES,
  type TextEncoderLayout,
  UNET_PREFIX,
  VAE_PREFIXES,
} from "./families.js";
import { type Piece, viewOf } from "./file-view.js";
import { ldmUnetName, ldmVaeName } from "../weights/ldm-names.js";
import { openClipPiece } from "./open-clip.js";
import { pictureSizeOf, predictionOf } from "./prediction.js";

/** The classes of the networks that such files hold. */
const NETWORKS = { UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTextModelWithProjection };

/** How to read a single-file checkpoint. */
export interface SingleFileOptions {
  /**
   * A diffusers folder, or a model on the hub ("owner/name"), with the `config.json` files of the networks, for models
   * of other than the published sizes. Default: the configs of the family.
   */
  config?: string;
  /**
   * What the network was trained to predict. Default: as the metadata of the file says, else as the family was
   * published.
   */
  predictionType?: "epsilon" | "v_prediction";
  /**
   * Whether to read the averaged weights of the UNet, if the file has them. Default false: the weights under the plain
   * names.
   */
  ema?: boolean;
  /** Rounds the weights to this precision; they are kept as float32. Default: as stored. */
  dtype?: WeightPrecision;
}

/** The networks of a single file, by the names of a diffusers folder; the caller owns them. */
export interface SingleFileParts {
  family: CheckpointFamily;
  unet: UNet2DConditionModel;
  vae: AutoencoderKL;
  /** The text encoders of the family: `text_encoder`, `text_encoder_2`. */
  textEncoders: Map<"text_encoder" | "text_encoder_2", Model>;
  /** The `scheduler_config.json` of its first publication, with the prediction type of this file. */
  schedulerConfig: Record<string, unknown>;
}

/**
 * Opens a checkpoint in the layout of the original latent diffusion code (CompVis, Stability AI): Stable Diffusion 1.x,
 * 2.x and XL as one `.safetensors` file. Each network is checked completely before any of it is allocated.
 *
 * @throws WeightsFormatError for a file of another kind, WeightsMismatchError listing what does not fit
 */
export async function loadSingleFile(from: BytesFrom, options: SingleFileOptions = {}): Promise<SingleFileParts> {
  const file = await openSafetensors(from);
  try {
    const { family, unet, vae, textEncoders, schedulerConfig } = await singleFileParts(file, options);
    const networks = [unet, vae, ...textEncoders.values()];
    try {
      for (const { model, stored } of networks)
        await readParameters(stored, model.namedParameters(), { dtype: options.dtype });
    } catch (error) {
      for (const { model } of networks) model.dispose();
      throw error;
    }
    const encoders = new Map([...textEncoders].map(([part, { model }]) => [part, model] as const));
    return { family, unet: unet.model, vae: vae.model, textEncoders: encoders, schedulerConfig };
  } finally {
    await file.close();
  }
}

/** A network without weights, and its tensors in the single file, under its own names. */
export interface StoredNetwork<M extends Model = Model> {
  model: M;
  stored: SafetensorsFile;
}

/** The networks in a single file, not allocated yet. Borrows the file. */
export async function singleFileParts(file: SafetensorsFile, options: SingleFileOptions = {}) {
  const { config, ema = false, predictionType } = options;
  const family = checkpointFamily(file);
  const layout = FAMILIES[family];
  const prediction_type = predictionType ?? (await predictionOf(file, family)).type;
  const build = async <M extends Model>(part: string, standard: () => M): Promise<M> => {
    if (config === undefined) return standard();
    const folder = joinPath(await configFolder(config), part);
    return buildModel(await readConfig(folder), NETWORKS, folder) as M;
  };
  const in_channels = file.tensors.get(`${UNET_PREFIX}input_blocks.0.0.weight`)?.shape[1] ?? 4;
  const sample_size = pictureSizeOf(family, prediction_type) / 8;
  const unet = await build("unet", () => new UNet2DConditionModel({ ...layout.unet, in_channels, sample_size }));
  const vae = await build("vae", () => new AutoencoderKL(layout.vae));
  const textEncoders = new Map<"text_encoder" | "text_encoder_2", StoredNetwork>();
  for (const [part, encoder] of Object.entries(layout.textEncoders) as ["text_encoder", TextEncoderLayout][]) {
    const config = { ...encoder.config, architectures: [encoder.className] };
    const model = await build(part, () => buildModel(config, NETWORKS, part));
    textEncoders.set(part, { model, stored: textView(file, model, encoder) });
  }
  return {
    family,
    unet: { model: unet, stored: unetView(file, unet, ema) } satisfies StoredNetwork<UNet2DConditionModel>,
    vae: { model: vae, stored: vaeView(file, vae) } satisfies StoredNetwork<AutoencoderKL>,
    textEncoders,
    schedulerConfig: { ...layout.scheduler, prediction_type } as Record<string, unknown>,
  };
}

function unetView(file: SafetensorsFile, unet: UNet2DConditionModel, ema: boolean): SafetensorsFile {
  const names = [...unet.namedParameters().keys()];
  const plain = (name: string) => UNET_PREFIX + ldmUnetName(name, unet.config);
  if (!ema) return viewOf(file, piecesOf(names, plain), (stored) => stored.startsWith(UNET_PREFIX));
  const averaged = (name: string) => `model_ema.${plain(name).slice("model.".length).replaceAll(".", "")}`;
  if (!file.tensors.has(averaged("conv_in.weight"))) {
    throw new WeightsFormatError(`${file.name}: holds no averaged weights (model_ema.…). Leave out { ema: true }.`);
  }
  return viewOf(file, piecesOf(names, averaged));
}

function vaeView(file: SafetensorsFile, vae: AutoencoderKL): SafetensorsFile {
  const isThere = (prefix: string) => [...file.tensors.keys()].some((key) => key.startsWith(prefix));
  const prefix = VAE_PREFIXES.find(isThere) ?? VAE_PREFIXES[0];
  const levels = vae.config.block_out_channels.length;
  const pieces = piecesOf([...vae.namedParameters().keys()], (name) => prefix + ldmVaeName(name, levels));
  return viewOf(file, pieces, (stored) => stored.startsWith(prefix));
}

/** Tensors of text encoders that are ignored: buffers, and the last layer of OpenCLIP's, which is not used. */
function textView(file: SafetensorsFile, encoder: Model, { prefix, names }: TextEncoderLayout): SafetensorsFile {
  // Files that other programs wrote in 2022 lack the prefix text_model.
  const isBare = file.tensors.has(`${prefix}embeddings.token_embedding.weight`);
  const plain = (name: string) => (isBare ? name.replace(/^text_model\./, "") : name);
  const pieces = [...encoder.namedParameters().keys()].map((name): [string, Piece] => {
    const piece = names === "openclip" ? openClipPiece(name) : { stored: plain(name) };
    return [name, { ...piece, stored: prefix + piece.stored }];
  });
  return viewOf(file, new Map(pieces));
}

function piecesOf(names: readonly string[], storedName: (name: string) => string): Map<string, Piece> {
  return new Map(names.map((name) => [name, { stored: storedName(name) }]));
}

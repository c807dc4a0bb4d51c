import { configFolder } from "../hub/model-source.js";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { type Autoencoder, autoencoderFrom } from "../models/open-autoencoder.js";
import { buildModel } from "../models/build-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import type { Model } from "../models/model.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { isTextBuffer, storedPiece, type StoredView, storedView, VAE_TRAINING } from "../models/stored-names.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { joinPath } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import { tellLeftOvers } from "../weights/left-overs.js";
import { readConfig } from "../weights/model-folder.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { readParameters, type WeightPrecision } from "../weights/parameters.js";
import { requireRoomForWeights } from "../models/weights-memory.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { checkpointFamily, FAMILIES, type TextEncoderLayout, UNET_PREFIX, VAE_PREFIXES } from "./families.js";
import { fileScheduler } from "./file-scheduler.js";
import { pictureSizeOf } from "./prediction.js";
import { MARKS } from "./scheduler-marks.js";
import { totalsOf } from "./tensor-totals.js";

/** The classes of the networks that such files hold. */
const NETWORKS = { UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTextModelWithProjection };

/** How to read a single-file checkpoint. */
export interface SingleFileOptions {
  /**
   * A diffusers folder, or a model on the hub ("owner/name"), with the `config.json` files of the networks, for models
   * whose sizes differ from the published ones. Its scheduler is used, too. Default: the configs of the family.
   */
  config?: string;
  /**
   * What the network was trained to predict. Default: the prediction type in the file's marks or metadata, else that of
   * the scheduler of `config`, else that of the published family.
   */
  predictionType?: "epsilon" | "v_prediction";
  /**
   * Whether to read the averaged weights of the UNet, which the file must have. Default false: the weights under the
   * plain names.
   */
  ema?: boolean;
  /** Rounds the weights to this precision; they are kept as float32. Default: as stored. */
  dtype?: WeightPrecision;
  /**
   * Another autoencoder in place of the file's, which may then have none: a network, or a file or folder of one. The
   * pipeline then owns it.
   */
  vae?: Autoencoder | BytesFrom;
  /** Refuses a file with unused tensors, instead of listing them in a warning. Default false. */
  strict?: boolean;
}

/** The networks of a single file, by the names of a diffusers folder; the caller owns them. */
export interface SingleFileParts {
  family: CheckpointFamily;
  unet: UNet2DConditionModel;
  vae: Autoencoder;
  /** The text encoders of the family: `text_encoder`, `text_encoder_2`. */
  textEncoders: Map<"text_encoder" | "text_encoder_2", Model>;
  /** The `scheduler_config.json` to sample with. */
  schedulerConfig: Record<string, unknown>;
}

/**
 * Opens a checkpoint in the layout of the original latent diffusion code (CompVis, Stability AI): Stable Diffusion 1.x,
 * 2.x and XL as one `.safetensors` file. Each network is checked completely before any of it is allocated. Unused
 * tensors are listed in one warning.
 *
 * @throws WeightsFormatError for a file of another kind, WeightsMismatchError listing what does not fit
 */
export async function loadSingleFile(from: BytesFrom, options: SingleFileOptions = {}): Promise<SingleFileParts> {
  const file = await openSafetensors(from);
  try {
    const { family, unet, vae, textEncoders, schedulerConfig } = await singleFileParts(file, options);
    const own = [
      unet.model,
      ...(vae.stored ? [vae.model] : []),
      ...[...textEncoders.values()].map(({ model }) => model),
    ];
    requireRoomForWeights(file.name, own, totalsOf(file.tensors.values()).parameters);
    const opened: Model[] = [];
    try {
      for (const { model, stored } of [unet, ...(vae.stored ? [vae as StoredNetwork] : []), ...textEncoders.values()]) {
        opened.push(model);
        await readParameters(stored, model.namedParameters(), { dtype: options.dtype });
      }
      const encoders = new Map([...textEncoders].map(([part, { model }]) => [part, model] as const));
      return { family, unet: unet.model, vae: vae.model, textEncoders: encoders, schedulerConfig };
    } catch (error) {
      for (const model of opened) model.dispose();
      if (vae.model !== options.vae) vae.model.dispose();
      throw error;
    }
  } finally {
    await file.close();
  }
}

/** A network without weights, and its tensors in the single file, under its own names. */
export interface StoredNetwork<M extends Model = Model> {
  model: M;
  stored: SafetensorsFile;
}

/** A network that is in the file, or that was given with its weights. */
export interface StoredPart<M extends Model = Model> {
  model: M;
  stored?: SafetensorsFile;
}

/**
 * The networks in a single file, not allocated yet. Only an autoencoder that is given as another file is loaded; the
 * caller owns it. Borrows the file.
 */
export async function singleFileParts(file: SafetensorsFile, options: SingleFileOptions = {}) {
  const { config, ema = false, strict } = options;
  const family = checkpointFamily(file);
  const layout = FAMILIES[family];
  const { schedulerConfig, vae: marked, unused } = await fileScheduler(file, family, options);
  const folder = config === undefined ? undefined : await configFolder(config);
  const build = async <M extends Model>(part: string, standard: object, changes: object = {}): Promise<M> => {
    const inside = folder === undefined ? undefined : joinPath(folder, part);
    const given = inside === undefined ? standard : await readConfig(inside);
    return buildModel({ ...given, ...changes }, NETWORKS, inside ?? part) as M;
  };
  const in_channels = file.tensors.get(`${UNET_PREFIX}input_blocks.0.0.weight`)?.shape[1] ?? 4;
  const sample_size = pictureSizeOf(family, schedulerConfig.prediction_type as string) / 8;
  const standard = { _class_name: "UNet2DConditionModel", ...layout.unet, in_channels, sample_size };
  const unet = await build<UNet2DConditionModel>("unet", standard);
  const views: StoredView[] = [unetView(file, unet, ema)];
  const stored: StoredNetwork<UNet2DConditionModel> = { model: unet, stored: views[0]!.stored };
  const textEncoders = new Map<"text_encoder" | "text_encoder_2", StoredNetwork>();
  for (const [part, encoder] of Object.entries(layout.textEncoders) as ["text_encoder", TextEncoderLayout][]) {
    const model = await build(part, { ...encoder.config, architectures: [encoder.className] });
    const view = textView(file, model, encoder);
    views.push(view);
    textEncoders.set(part, { model, stored: view.stored });
  }
  const ownVae = options.vae ? undefined : vaePrefix(file);
  let vae: StoredPart<Autoencoder> | undefined;
  if (ownVae !== undefined) {
    const standard = { _class_name: "AutoencoderKL", ...layout.vae };
    const model = await build<AutoencoderKL>("vae", standard, marked);
    const view = vaeView(file, model, ownVae);
    views.push(view);
    vae = { model, stored: view.stored };
  }
  const isText = (name: string) =>
    Object.entries(layout.textEncoders).some(
      ([part, { prefix }]) =>
        name.startsWith(prefix) && isTextBuffer(name, textEncoders.get(part as "text_encoder")!.model),
    );
  tellLeftOvers(file.name, [...leftOvers(file, views, isText, ownVae), ...unused], strict);
  vae ??= { model: await givenAutoencoder(file, { ...options, family, pipeline: folder }, marked) };
  return { family, unet: stored, vae, textEncoders, schedulerConfig };
}

function unetView(file: SafetensorsFile, unet: UNet2DConditionModel, ema: boolean): StoredView {
  const pieceOf = storedPiece(unet, "ldm");
  const plain = (name: string) => UNET_PREFIX + pieceOf(name).stored;
  if (!ema)
    return storedView(
      file,
      unet,
      (name) => ({ stored: plain(name) }),
      (stored) => stored.startsWith(UNET_PREFIX),
    );
  const averaged = (name: string) => `model_ema.${plain(name).slice("model.".length).replaceAll(".", "")}`;
  if (!file.tensors.has(averaged("conv_in.weight"))) {
    throw new WeightsFormatError(`${file.name}: has no averaged weights (model_ema.…). Leave out { ema: true }.`);
  }
  return storedView(file, unet, (name) => ({ stored: averaged(name) }));
}

/** @throws WeightsFormatError if the file has no autoencoder */
function vaePrefix(file: SafetensorsFile): string {
  const isThere = (prefix: string) => [...file.tensors.keys()].some((key) => key.startsWith(prefix));
  const prefix = VAE_PREFIXES.find(isThere);
  if (prefix !== undefined) return prefix;
  throw new WeightsFormatError(
    `${file.name}: has no autoencoder (${VAE_PREFIXES[0]}…). Give one as { vae }: its file or folder, or the network.`,
  );
}

/** Tensors under the prefix belong to the network, except those of its training. It refuses unknown ones. */
function vaeView(file: SafetensorsFile, vae: AutoencoderKL, prefix: string): StoredView {
  const pieceOf = storedPiece(vae, "ldm");
  const isOwn = (stored: string) => stored.startsWith(prefix) && !VAE_TRAINING.test(stored.slice(prefix.length));
  return storedView(file, vae, (name) => ({ stored: prefix + pieceOf(name).stored }), isOwn);
}

/** Opens the autoencoder that is given in place of the file's. */
async function givenAutoencoder(
  file: SafetensorsFile,
  { vae, family, pipeline, dtype, strict }: SingleFileOptions & { family: CheckpointFamily; pipeline?: string },
  marked: Partial<AutoencoderKL["config"]>,
): Promise<Autoencoder> {
  const model = await autoencoderFrom(vae!, { family, pipeline, dtype, strict });
  const { latents_mean = null } = model.config as { latents_mean?: unknown };
  if (!marked.latents_mean || latents_mean !== null) return model;
  if (model !== vae) model.dispose();
  throw new WeightsFormatError(
    `${file.name}: its latents are normalised by channel (edm_mean), and the given autoencoder has no latents_mean in its config. ` +
      "Leave out { vae }, or give the one that belongs to this model.",
  );
}

function textView(file: SafetensorsFile, encoder: Model, { prefix, names }: TextEncoderLayout): StoredView {
  // Files that other programs wrote in 2022 lack the prefix text_model.
  const isBare = file.tensors.has(`${prefix}embeddings.token_embedding.weight`);
  const pieceOf = storedPiece(encoder, names === "openclip" ? names : isBare ? "bare" : "own");
  return storedView(file, encoder, (name) => ({ ...pieceOf(name), stored: prefix + pieceOf(name).stored }));
}

/** Constants of the noise schedule and counters that the original code saved, and averages, which { ema } reads. */
const BUFFERS =
  /^(betas|(alphas_cumprod|sqrt_|log_one_minus|posterior_)\w*|logvar|lvlb_weights|scale_factor|global_step|denoiser\.(sigmas|log_sigmas)|model_ema\..*)$/;

/** Tensors that belong to no network. Unknown tensors under the prefix of a network are refused when it is read. */
function leftOvers(
  file: SafetensorsFile,
  views: readonly StoredView[],
  isTextBuffer: (name: string) => boolean,
  ownVae: string | undefined,
): string[] {
  const isOfNetwork = (name: string) =>
    views.some(({ used }) => used.has(name)) ||
    name.startsWith(UNET_PREFIX) ||
    // If the caller gives another autoencoder, that of the file is unused on purpose.
    (ownVae === undefined
      ? VAE_PREFIXES.some((prefix) => name.startsWith(prefix))
      : name.startsWith(ownVae) && !VAE_TRAINING.test(name.slice(ownVae.length)));
  const isMark = (name: string) => (MARKS as readonly string[]).includes(name);
  const isBuffer = (name: string) => BUFFERS.test(name) || isTextBuffer(name);
  return [...file.tensors.keys()].filter((name) => !isOfNetwork(name) && !isMark(name) && !isBuffer(name));
}

import { type Piece, viewOf } from "../weights/file-view.js";
import { ldmControlNetName, ldmUnetName, ldmVaeName } from "../weights/ldm-names.js";
import { openClipPiece } from "../weights/open-clip.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { AutoencoderKLConfig } from "./autoencoder/autoencoder-kl-config.js";
import { libraryAndClass } from "./library-and-class.js";
import type { Model } from "./model.js";
import type { ControlNetConfig } from "./unet/controlnet-config.js";
import { firstT2IAdapterName } from "./unet/t2i-adapter-file.js";
import type { T2IAdapterConfig } from "./unet/t2i-adapter.js";
import type { UNet2DConditionConfig } from "./unet/unet-2d-condition-config.js";

/**
 * The naming scheme of a network's tensors in a file: that of the library of its `config.json`; of the original latent
 * diffusion code, or of T2I-Adapter's; of OpenCLIP; or of transformers without `text_model.`, as in files that other
 * programs wrote in 2022.
 */
export type StoredNames = "own" | "ldm" | "openclip" | "bare";

/** Where the parameters of a network are stored in a file with these names, without the network's prefix. */
export function storedPiece(model: Model, names: StoredNames): (name: string) => Piece {
  if (names === "openclip") return openClipPiece;
  if (names === "bare") return (name) => ({ stored: name.replace(/^text_model\./, "") });
  if (names === "own") return (name) => ({ stored: name });
  const { className } = libraryAndClass(model.config);
  // By the names of the classes, so that a bundle with one of them need not hold all.
  if (className === "UNet2DConditionModel") {
    const config = model.config as UNet2DConditionConfig;
    return (name) => ({ stored: ldmUnetName(name, config) });
  }
  if (className === "AutoencoderKL") {
    const levels = (model.config as AutoencoderKLConfig).block_out_channels.length;
    return (name) => ({ stored: ldmVaeName(name, levels) });
  }
  if (className === "ControlNetModel") {
    const { layers_per_block, conditioning_embedding_out_channels } = model.config as ControlNetConfig;
    const hintBlocks = 2 * (conditioning_embedding_out_channels.length - 1);
    return (name) => ({ stored: ldmControlNetName(name, { layers_per_block, up_block_types: [], hintBlocks }) });
  }
  if (className === "T2IAdapter")
    return (name) => ({ stored: firstT2IAdapterName(name, model.config as T2IAdapterConfig) });
  throw new TypeError(`A ${model.constructor.name} has no names in latent diffusion's first code.`);
}

/** A network's tensors in a file. */
export interface StoredView {
  /** The tensors under the network's own names. Nothing is read until it is used. */
  stored: SafetensorsFile;
  /** The names in the file. */
  used: ReadonlySet<string>;
}

/**
 * A network's tensors in a file under other names.
 *
 * @param known which other tensors belong to the network; the reader refuses those
 */
export function storedView(
  file: SafetensorsFile,
  model: Model,
  pieceOf: (name: string) => Piece,
  known?: (stored: string) => boolean,
): StoredView {
  const pieces = new Map([...model.namedParameters().keys()].map((name) => [name, pieceOf(name)] as const));
  return { stored: viewOf(file, pieces, known), used: new Set([...pieces.values()].map(({ stored }) => stored)) };
}

/**
 * Tensors of an autoencoder's training that files still contain: those of its losses, and the counters of its averages.
 */
export const VAE_TRAINING = /^(loss|model_ema)\./;

/**
 * Whether a tensor of a text encoder's file is not one of its weights: a buffer, or a tensor of OpenCLIP's last layer
 * or its projection, which are not used.
 */
export function isTextBuffer(stored: string, { config }: Model): boolean {
  const [, layer] = /transformer\.resblocks\.(\d+)\./.exec(stored) ?? [];
  const { num_hidden_layers: layers = Infinity } = config as { num_hidden_layers?: number };
  return Number(layer ?? -1) >= layers || /(^|\.)(logit_scale|attn_mask|position_ids|text_projection)$/.test(stored);
}

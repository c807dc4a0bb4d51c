import * as tf from "@tensorflow/tfjs";
import type { AutoencoderKL } from "@tfjs-diffusion/core/models";
import { loadModel } from "@tfjs-diffusion/core";
import {
  type CLIPModel,
  CLIPTextModel,
  CLIPTextModelWithProjection,
  UNet2DConditionModel,
} from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { copyParameters } from "../conditioning.js";
import { TIME_IDS, UNET_CONFIG } from "./settings.js";

/** The networks that draw latents. */
export interface PortraitNetworks {
  unet: UNet2DConditionModel;
  /** Is trained with the UNet. */
  textEncoder: CLIPTextModel;
  /**
   * Keeps its weights from CLIP. Its projected vector describes the whole caption; the states describe it word by word.
   */
  textEncoder2: CLIPTextModelWithProjection;
}

/** A new UNet, and two copies of the text tower of the CLIP in `clipFolder`. */
export async function newNetworks(seed: number, clipFolder: string): Promise<PortraitNetworks> {
  const clip = (await loadModel(clipFolder)) as CLIPModel;
  const { text_config } = clip.config;
  const unet = new UNet2DConditionModel(UNET_CONFIG);
  const textEncoder = new CLIPTextModel(text_config);
  const textEncoder2 = new CLIPTextModelWithProjection(text_config);
  unet.initialize(keyedNoise(seed).at("unet"));
  for (const encoder of [textEncoder, textEncoder2]) copyParameters(clip, encoder);
  clip.dispose();
  return { unet, textEncoder, textEncoder2 };
}

/** The networks of a finished folder, and its autoencoder. */
export async function loadNetworks(folder: string): Promise<PortraitNetworks & { vae: AutoencoderKL }> {
  const load = <M>(part: string) => loadModel(`${folder}/${part}`) as Promise<M>;
  return {
    unet: await load<UNet2DConditionModel>("unet"),
    textEncoder: await load<CLIPTextModel>("text_encoder"),
    textEncoder2: await load<CLIPTextModelWithProjection>("text_encoder_2"),
    vae: await load<AutoencoderKL>("vae"),
  };
}

/** The conditioning of the UNet by captions. */
export type PortraitConditioning = {
  /** [B, tokens, 2 x TEXT_WIDTH] */
  context: tf.Tensor3D;
  textEmbeds: tf.Tensor2D;
  timeIds: tf.Tensor2D;
};

/**
 * Reads captions as Stable Diffusion XL reads prompts: the states before the last layer of both towers, side by side,
 * and the second tower's pooled vector.
 */
export function conditioning(
  { textEncoder, textEncoder2 }: Pick<PortraitNetworks, "textEncoder" | "textEncoder2">,
  ids: tf.Tensor2D,
  timeIds: readonly number[] = TIME_IDS,
): PortraitConditioning {
  const second = textEncoder2.forward(ids);
  const states = [textEncoder.forward(ids), second].map(({ hiddenStates }) => hiddenStates.at(-2)!);
  return {
    context: tf.concat(states, 2),
    textEmbeds: second.textEmbeds,
    timeIds: tf.tensor2d(Array.from({ length: ids.shape[0] }, () => [...timeIds])),
  };
}

/** The text tower's variables that {@link conditioning} depends on: all but its last layer and the norm after it. */
export function readPart(textEncoder: CLIPTextModel): [string, tf.Variable][] {
  const last = textEncoder.config.num_hidden_layers - 1;
  const unread = [`.layers.${last}.`, "final_layer_norm."];
  return [...textEncoder.parameters()].filter(([name]) => !unread.some((part) => name.includes(part)));
}

import * as tf from "@tensorflow/tfjs";
import { type CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import {
  type CLIPModel,
  CLIPTextModelWithProjection,
  CLIPVisionModelWithProjection,
} from "@tfjs-diffusion/core/models";
import { tokenIds } from "../clip.js";
import { copyParameters } from "../conditioning.js";

/** The two halves of a CLIP. */
export interface Towers {
  text: CLIPTextModelWithProjection;
  vision: CLIPVisionModelWithProjection;
}

/** The towers of the CLIP in a folder, each a network of its own; the caller owns them. */
export async function loadTowers(folder: string): Promise<Towers> {
  const clip = (await loadModel(folder)) as CLIPModel;
  const text = new CLIPTextModelWithProjection(clip.config.text_config);
  const vision = new CLIPVisionModelWithProjection(clip.config.vision_config);
  for (const tower of [text, vision]) copyParameters(clip, tower);
  clip.dispose();
  return { text, vision };
}

/** What unCLIP's networks read of captions, as UnCLIPPipeline gives it to them. The caller owns it. */
export type CaptionStates = {
  /** [B, TEXT_WIDTH] */
  textEmbeds: tf.Tensor2D;
  /** [B, tokens, TEXT_WIDTH] */
  hiddenStates: tf.Tensor3D;
  /** 1 where there is a token, 0 for padding, [B, tokens]. */
  attentionMask: tf.Tensor2D;
};

/** Reads captions with a text tower. */
export function captionStates(
  tower: CLIPTextModelWithProjection,
  tokenizer: CLIPTokenizer,
  captions: readonly string[],
): CaptionStates {
  return tf.tidy(() => {
    const ids = tokenIds(tokenizer, captions);
    const { textEmbeds, lastHiddenState: hiddenStates } = tower.forward(ids);
    // Padding is made of end tokens, of which the first belongs to the text.
    const ends = ids.equal(tf.scalar(tokenizer.vocab[tokenizer.eosToken]!, "int32")).toFloat();
    const attentionMask = ends.cumsum(1, true).equal(0).toFloat() as tf.Tensor2D;
    return { textEmbeds, hiddenStates, attentionMask };
  });
}

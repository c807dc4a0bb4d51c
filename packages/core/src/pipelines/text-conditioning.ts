import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip-text-model.js";
import type { CLIPTokenizer } from "../text/tokenizer.js";

/** The networks that read a prompt. */
export interface TextEncoders {
  readonly tokenizer: CLIPTokenizer;
  /** Its last hidden states are what the UNet's cross-attention looks at. */
  readonly textEncoder: CLIPTextModel;
  /** Its projected sentence vector is added to the UNet's time embedding, where the UNet takes one. */
  readonly textEncoder2?: CLIPTextModelWithProjection;
}

/** What the UNet gets to know of N prompts. The caller owns the tensors. */
export type TextConditioning = {
  /** One state a token: [N, L, C]. */
  context: tf.Tensor3D;
  /** One vector a prompt: [N, D]. */
  pooled: tf.Tensor2D | undefined;
};

/**
 * Reads the prompts, all of them at once; each is cut or padded to the length that tokenizer and encoder can take, and what is
 * cut is told to the console. `clipSkip` takes the states of so many layers before the last.
 */
export function encodePrompts(
  prompts: string[],
  { tokenizer, textEncoder, textEncoder2 }: TextEncoders,
  clipSkip = 0,
): TextConditioning {
  const onTruncate = (cut: string) =>
    console.warn(`A prompt is too long for the text encoder; it does not see its end: "${cut}".`);
  const idsFor = (encoder: CLIPTextModel | CLIPTextModelWithProjection) => {
    const maxLength = Math.min(tokenizer.maxLength, encoder.config.max_position_embeddings);
    const ids = prompts.map((prompt) => tokenizer.encode(prompt, { maxLength, onTruncate }));
    return tf.tensor2d(ids, [prompts.length, maxLength], "int32");
  };
  return tf.tidy(() => ({
    context: tokenStates(textEncoder, idsFor(textEncoder), clipSkip),
    pooled: textEncoder2?.forward(idsFor(textEncoder2)).textEmbeds,
  }));
}

/** The states after the layer that is `clipSkip` before the last, normalised as after the last. */
function tokenStates(encoder: CLIPTextModel, ids: tf.Tensor2D, clipSkip: number): tf.Tensor3D {
  const { lastHiddenState, hiddenStates } = encoder.forward(ids);
  if (clipSkip === 0) return lastHiddenState;
  return encoder.text_model.final_layer_norm.forward<tf.Tensor3D>(hiddenStates.at(-1 - clipSkip)!);
}

/** Each prompt `count` times in a row: [N, ...] -> [N count, ...]. Borrows its argument. */
export function repeatPrompts({ context, pooled }: TextConditioning, count: number): TextConditioning {
  return tf.tidy(() => ({ context: repeatRows(context, count), pooled: pooled && repeatRows(pooled, count) }));
}

/** Both sets of prompts in one batch, `a` first. Borrows its arguments. */
export function joinPrompts(a: TextConditioning, b: TextConditioning): TextConditioning {
  return tf.tidy(() => ({
    context: tf.concat([a.context, b.context]),
    pooled: a.pooled && b.pooled && tf.concat([a.pooled, b.pooled]),
  }));
}

/** Each row `count` times in a row: [N, ...] -> [N count, ...]. Borrows its argument. */
export function repeatRows<T extends tf.Tensor>(x: T, count: number): T {
  const [rows = 0, ...rest] = x.shape;
  return x
    .expandDims(1)
    .tile([1, count, ...rest.map(() => 1)])
    .reshape<T>([rows * count, ...rest]);
}

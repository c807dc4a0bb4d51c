import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { PROMPTS_AT_ONCE, readPrompts, repeatRows } from "../stable-diffusion/text-conditioning.js";

/** The encoding of N texts for unCLIP's networks. */
export type TextStates = {
  /** One vector per text, in CLIP's joint space, [N, D]. */
  textEmbeds: tf.Tensor2D;
  /** One state per token, [N, L, D]. */
  hiddenStates: tf.Tensor3D;
  /** 1 where there is a token, 0 for padding, [N, L]. */
  attentionMask: tf.Tensor2D;
};

/** Encodes texts, some at a time, cut or padded to the encoder's length; the caller owns the result. */
export function readTextStates(prompts: string[], encoders: TextStateEncoders): TextStates {
  return tf.tidy(() => {
    const parts: TextStates[] = [];
    for (let from = 0; from < prompts.length; from += PROMPTS_AT_ONCE) {
      parts.push(tf.tidy(() => readSome(prompts.slice(from, from + PROMPTS_AT_ONCE), encoders)));
    }
    return joinAll(parts);
  });
}

/** What reads the texts. */
interface TextStateEncoders {
  tokenizer: CLIPTokenizer;
  textEncoder: CLIPTextModelWithProjection;
}

function readSome(prompts: string[], { tokenizer, textEncoder: encoder }: TextStateEncoders): TextStates {
  const { ids, lengths } = readPrompts({ prompts, tokenizer, encoder });
  const { textEmbeds, lastHiddenState: hiddenStates } = encoder.forward(ids);
  const place = tf.range(0, ids.shape[1], 1, "int32");
  const attentionMask = tf.less<tf.Tensor2D>(place, tf.tensor2d(lengths, [prompts.length, 1], "int32"));
  return { textEmbeds, hiddenStates, attentionMask: attentionMask.toFloat() };
}

/** Each text `count` times in a row. Borrows its argument. */
export function repeatStates({ textEmbeds, hiddenStates, attentionMask }: TextStates, count: number): TextStates {
  return tf.tidy(() => ({
    textEmbeds: repeatRows(textEmbeds, count),
    hiddenStates: repeatRows(hiddenStates, count),
    attentionMask: repeatRows(attentionMask.toFloat(), count),
  }));
}

/** Two batches of states in one, `a` first. Borrows its arguments. */
export function joinStates(a: TextStates, b: TextStates): TextStates {
  return joinAll([a, b]);
}

function joinAll(states: readonly TextStates[]): TextStates {
  return tf.tidy(() => ({
    textEmbeds: tf.concat(states.map(({ textEmbeds }) => textEmbeds)),
    hiddenStates: tf.concat(states.map(({ hiddenStates }) => hiddenStates)),
    attentionMask: tf.concat(states.map(({ attentionMask }) => attentionMask)),
  }));
}

import { denoiserBytes, floatBytes, textEncoderBytes, transformerBytes } from "../../models/activation-memory.js";
import type { PriorTransformer } from "../../models/clip/prior-transformer.js";
import type { DrawingNeeds } from "../drawing/drawing-memory.js";
import { type UnCLIPDrawingParts, unclipSizes } from "./unclip-parts.js";

/** Large pictures that are held at least: the enlarged small one, x before and after, the input and the output. */
const LARGE_KEPT = 5;

/** The memory to draw pictures from text or from embeddings. With guidance, only super-resolution has one batch. */
export function unclipNeeds(
  parts: UnCLIPDrawingParts & { prior?: PriorTransformer },
  pictures: number,
  isGuided: boolean,
): DrawingNeeds {
  const { decoder, superResFirst, superResLast, textEncoder, prior } = parts;
  const { small, large } = unclipSizes(parts);
  const batches = isGuided ? 2 : 1;
  const enlarging = [superResFirst, superResLast].map((network) => denoiserBytes(network, large[0], large[1]));
  const { hidden_size: width, max_position_embeddings: tokens } = textEncoder.config;
  return {
    pictures,
    height: large[0],
    width: large[1],
    running: Math.max(
      batches * denoiserBytes(decoder, small[0], small[1]),
      batches * (prior ? priorBytes(prior) : 0),
      ...enlarging,
    ),
    // The states of the text, as the encoder gives them and as the decoder reads them.
    kept: LARGE_KEPT * floatBytes(...large) + batches * floatBytes(tokens, width + decoder.contextWidth),
    reading: textEncoderBytes(textEncoder),
  };
}

function priorBytes({ config }: PriorTransformer): number {
  const { num_attention_heads: heads, attention_head_dim: size, num_embeddings, additional_embeddings } = config;
  return transformerBytes({ tokens: num_embeddings + additional_embeddings, width: heads * size, heads });
}

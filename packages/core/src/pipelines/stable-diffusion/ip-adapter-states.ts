import * as tf from "@tensorflow/tfjs";
import { blockScale } from "../../adapters/block-scale.js";
import { bicubicResize } from "../../image/bicubic-resize.js";
import { CLIPImageProcessor } from "../../image/clip-image-processor.js";
import type { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import type { ContextAttention, ImageStates } from "../../models/denoiser.js";
import type { IPAdapter } from "../../models/unet/ip-adapter.js";
import { binaryMask } from "./inpainting.js";
import { checkImage, type IPAdapterInput } from "./ip-adapter.js";
import { repeatRows } from "./text-conditioning.js";

/**
 * What an IP-Adapter reads of pictures in [0, 1], [H, W, 3] or [N, H, W, 3]: [2, N, D], or [2, N, L, D] for Plus and
 * Full, first without the pictures, for the negative prompt. To draw often with a picture, keep it and give it as
 * `imageEmbeds`. The caller owns it.
 *
 * @throws PipelineOptionError for an encoder of another width
 */
export function ipAdapterEmbeds(
  model: IPAdapter,
  imageEncoder: CLIPVisionModelWithProjection,
  image: tf.Tensor3D | tf.Tensor4D,
): tf.Tensor {
  checkImage("ipAdapterEmbeds", image, model, imageEncoder);
  const { image_size: side } = imageEncoder.config;
  const processor = new CLIPImageProcessor({ size: side, crop_size: side });
  return tf.tidy(() => {
    const pixels = processor.forward(image.reshape<tf.Tensor4D>([-1, ...image.shape.slice(-3)]));
    if (!model.readsPatches) {
      const { imageEmbeds } = imageEncoder.forward(pixels);
      return tf.stack([tf.zerosLike(imageEmbeds), imageEmbeds]);
    }
    const states = (pixels: tf.Tensor4D) => imageEncoder.forward(pixels).hiddenStates.at(-2)!;
    return tf.stack([states(tf.zerosLike(pixels)), states(pixels)]);
  });
}

/**
 * The states that the denoiser's layers read, by their names: `batch` rows, with guidance after as many for the
 * negative prompts. They are the same in all steps. The caller owns them.
 */
export function imageStates(
  inputs: Iterable<IPAdapterInput>,
  layers: readonly ContextAttention[],
  { batch, isGuided }: { batch: number; isGuided: boolean },
): Record<string, ImageStates[]> {
  return tf.tidy(() => {
    const states: Record<string, ImageStates[]> = {};
    for (const input of inputs) {
      const { model, scale = 1, mask } = input;
      const each = model.keysAndValues(tokensOf(input, isGuided));
      for (const [i, { name, shape }] of layers.entries()) {
        const own = typeof scale === "number" ? scale : blockScale(scale, name, 0);
        if (own === 0) continue;
        const keys = repeatRows(each[i]!.keys, batch);
        const values = repeatRows(each[i]!.values.mul<tf.Tensor3D>(own), batch);
        (states[name] ??= []).push({ keys, values, ...(mask && { mask: maskOf(mask, shape) }) });
      }
    }
    return states;
  });
}

/** The tokens of all pictures side by side: [2, N T, C], with guidance the first row without them; else [1, N T, C]. */
function tokensOf({ model, imageEncoder, image, imageEmbeds }: IPAdapterInput, isGuided: boolean): tf.Tensor3D {
  const all: tf.Tensor = imageEmbeds ?? ipAdapterEmbeds(model, imageEncoder!, image!);
  const embeds = isGuided ? all : all.slice([all.shape[0] - 1], [1]);
  const [rows, pictures, ...rest] = embeds.shape as [number, number, ...number[]];
  const tokens = model.forward(embeds.reshape([rows * pictures, ...rest]));
  return tokens.reshape([rows, pictures * tokens.shape[1], tokens.shape[2]]);
}

/** A mask [H, W, …] for each pixel of a feature map, [1, rows columns, 1], as diffusers resizes it. */
function maskOf(mask: tf.Tensor, [rows, columns]: readonly [number, number, number]): tf.Tensor3D {
  const [height, width] = mask.shape as [number, number];
  const binary = binaryMask(mask.reshape([1, height, width, 1]));
  return bicubicResize(binary, [rows, columns]).reshape([1, rows * columns, 1]);
}

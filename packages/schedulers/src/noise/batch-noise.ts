import * as tf from "@tensorflow/tfjs";
import { channelsLast } from "./channels-last.js";
import type { NoiseSource } from "./noise.js";

/**
 * A source for each picture of a batch: row i is drawn from source i, so a picture does not depend on the others.
 * In diffusers this is a list of generators, in AUTOMATIC1111 a batch, whose picture i has seed + i.
 *
 * @throws RangeError without a source; when drawing, unless there are as many rows as sources
 */
export function batchNoise(sources: readonly NoiseSource[]): NoiseSource {
  if (sources.length === 0) throw new RangeError("batchNoise: no sources; give one for each picture.");
  const rows = sources.map(channelsLast);
  const drawn = (shape: number[], draw: (source: NoiseSource, shape: number[]) => tf.Tensor) => {
    const [count, ...rest] = shape;
    if (count !== rows.length) {
      throw new RangeError(
        `batchNoise: [${shape.join(", ")}] was requested, but there are ${rows.length} sources. Give one source for ` +
          "each picture. For image-to-image, also give the picture once for each source.",
      );
    }
    return tf.tidy(() => tf.concat(rows.map((source) => draw(source, [1, ...rest]))));
  };
  return {
    normal: (shape) => drawn(shape, (source, row) => source.normal(row)),
    uniform: (shape) => drawn(shape, (source, row) => source.uniform(row)),
  };
}

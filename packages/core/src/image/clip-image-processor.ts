import * as tf from "@tensorflow/tfjs";
import { joinPath } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import { type ConfigKey, defaultsOf, flag, flawOf, oneOf, type SchemaOf } from "../weights/config-schema.js";
import { readJsonObject } from "../weights/read-json.js";
import { resizeBicubic } from "./resize-bicubic.js";

const FILE = "preprocessor_config.json";

/** Pillow's number for bicubic resizing. */
const BICUBIC = 3;

type Sides = { height: number; width: number };

/**
 * `preprocessor_config.json` of a CLIPImageProcessor, as transformers writes it; older files give sizes as one number.
 */
export interface CLIPImageProcessorConfig {
  do_resize: boolean;
  size: number | { shortest_edge: number } | Sides;
  /** Pillow's number of the filter; 3, bicubic, is the only one here. */
  resample: number;
  do_center_crop: boolean;
  crop_size: number | Sides;
  do_rescale: boolean;
  rescale_factor: number;
  do_normalize: boolean;
  image_mean: number[];
  image_std: number[];
}

const SIDES = "a height and a width, whole numbers";

const SCHEMA: SchemaOf<CLIPImageProcessorConfig> = {
  do_resize: flag(true),
  size: {
    fallback: { shortest_edge: 224 },
    expected: `whole numbers: one, a shortest_edge, or ${SIDES}`,
    accepts: (value) => isSize(value) || isSide((value as { shortest_edge?: unknown } | null)?.shortest_edge),
  },
  resample: oneOf<number>(BICUBIC, [BICUBIC]),
  do_center_crop: flag(true),
  crop_size: { fallback: { height: 224, width: 224 }, expected: SIDES, accepts: isSize },
  do_rescale: oneOf<boolean>(true, [true]),
  rescale_factor: {
    fallback: 1 / 255,
    expected: "1 / 255",
    accepts: (value) => typeof value === "number" && Math.abs(value * 255 - 1) < 1e-6,
  },
  do_normalize: flag(true),
  image_mean: threeNumbers([0.48145466, 0.4578275, 0.40821073]),
  image_std: threeNumbers([0.26862954, 0.26130258, 0.27577711]),
};

function threeNumbers(fallback: number[]): ConfigKey<number[]> {
  const accepts = (value: unknown) => Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
  return { fallback, expected: "3 numbers", accepts, lists: "whole" };
}

/**
 * Prepares pictures for CLIP's vision models as in their training (Radford et al. 2021): resizes the shorter side, cuts
 * out the square in the middle, and normalises each colour with the mean and standard deviation of the training set.
 */
export class CLIPImageProcessor {
  /** As a `model_index.json` names it. */
  readonly className = "CLIPImageProcessor";
  readonly config: CLIPImageProcessorConfig;

  /** @throws WeightsFormatError that names a setting which is not CLIP's */
  constructor(config: Partial<CLIPImageProcessorConfig> = {}) {
    this.config = { ...defaultsOf<CLIPImageProcessorConfig>(SCHEMA), ...config };
    const flaw = flawOf(SCHEMA, this.config);
    if (flaw)
      throw new WeightsFormatError(`CLIPImageProcessor: ${flaw.key} is ${flaw.value}; expected ${flaw.expected}.`);
  }

  /**
   * Reads a folder with a `preprocessor_config.json`.
   *
   * @throws WeightsFormatError if it cannot be read, or belongs to another kind of processor
   */
  static async fromFolder(folder: string): Promise<CLIPImageProcessor> {
    const path = joinPath(folder, FILE);
    const remedy = "Copy it from the model's page; it says how to preprocess pictures for CLIP.";
    const config = await readJsonObject(path, { remedy });
    const kind = config["image_processor_type"] ?? config["feature_extractor_type"] ?? "CLIPImageProcessor";
    if (typeof kind !== "string" || !/^CLIP(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/.test(kind)) {
      throw new WeightsFormatError(`${path}: this is a ${JSON.stringify(kind)}; expected a CLIPImageProcessor.`);
    }
    const known = Object.entries(config).filter(([key]) => Object.hasOwn(SCHEMA, key));
    try {
      return new CLIPImageProcessor(Object.fromEntries(known));
    } catch (error) {
      if (error instanceof WeightsFormatError) error.message = `${path}: ${error.message} ${remedy}`;
      throw error;
    }
  }

  /** Writes what {@link fromFolder} reads. */
  async save(folder: string): Promise<void> {
    const config = { image_processor_type: "CLIPImageProcessor", ...this.config };
    const { writeText } = await import("../platform/saving.js");
    await writeText(joinPath(folder, FILE), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** Height and width of the result of {@link forward}; undefined if it has the size of the pictures. */
  get outputSize(): [number, number] | undefined {
    return this.config.do_center_crop ? sides(this.config.crop_size) : undefined;
  }

  /**
   * Pictures [B, H, W, 3] in [0, 1], treated as 8-bit pictures, to pixels [B, h, w, 3] for a vision model. The caller
   * owns the result.
   */
  forward(images: tf.Tensor4D): tf.Tensor4D {
    const { do_resize, do_center_crop, do_normalize, image_mean, image_std } = this.config;
    return tf.tidy(() => {
      const [, height, width] = images.shape;
      const resized = do_resize
        ? resizeBicubic(images, ...this.#resizedTo(height, width), { eightBit: true })
        : images.clone();
      const cut = do_center_crop ? middle(resized, ...this.outputSize!) : resized;
      return do_normalize ? cut.sub(image_mean).div<tf.Tensor4D>(image_std) : cut;
    });
  }

  #resizedTo(height: number, width: number): [number, number] {
    const { size } = this.config;
    if (isSize(size) && typeof size === "object") return sides(size);
    const shortest = typeof size === "number" ? size : size.shortest_edge;
    const longest = Math.trunc((shortest * Math.max(height, width)) / Math.min(height, width));
    return height <= width ? [shortest, longest] : [longest, shortest];
  }
}

/** The middle of each picture; pictures smaller than that are padded with black. */
function middle(images: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  const [batch, rows, columns, channels] = images.shape;
  const pad = (from: number, to: number): [number, number] => {
    const missing = Math.max(to - from, 0);
    return [Math.ceil(missing / 2), Math.floor(missing / 2)];
  };
  const large = images.pad<tf.Tensor4D>([[0, 0], pad(rows, height), pad(columns, width), [0, 0]]);
  const start = (from: number, to: number) => Math.max(Math.floor((from - to) / 2), 0);
  return large.slice([0, start(rows, height), start(columns, width), 0], [batch, height, width, channels]);
}

function sides(size: number | Sides): [number, number] {
  return typeof size === "number" ? [size, size] : [size.height, size.width];
}

function isSide(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isSize(size: unknown): size is number | Sides {
  if (typeof size !== "object" || size === null) return isSide(size);
  const { height, width } = size as Partial<Sides>;
  return isSide(height) && isSide(width);
}

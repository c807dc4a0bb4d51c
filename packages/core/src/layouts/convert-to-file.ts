import { modelFromConfig } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { storedPiece } from "../models/stored-names.js";
import { fileExists, joinPath } from "../platform/files.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { type CopyOptions, tensorsToCopy } from "../weights/copy-tensors.js";
import { WeightsFormatError } from "../weights/errors.js";
import { closeAll, openModelFolder, readConfig } from "../weights/model-folder.js";
import type { Piece } from "../weights/file-view.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { FAMILIES, UNET_PREFIX, VAE_PREFIXES } from "./families.js";
import { schedulerOfFolder } from "./file-scheduler.js";
import { requireLatentsKept } from "./lost-latents.js";
import { requireSchedulerKept } from "./lost-scheduler.js";
import { marksOf } from "./scheduler-marks.js";

/** Which weights of the folder to copy, and in which precision. */
export interface ToFileOptions extends CopyOptions {
  /** Variant of the weights to read, such as "fp16". */
  variant?: string;
  /**
   * Write the file although it cannot say all of the folder's scheduler, with a warning that names what is lost.
   * Default false: refuse it.
   */
  withoutScheduler?: boolean;
}

const OPTIONS = optionNames<ToFileOptions>()({ dtype: true, signal: true, variant: true, withoutScheduler: true });

/**
 * Writes a diffusers pipeline folder as one file in the layout of the original latent diffusion code, which other
 * programs open: the inverse of singleFileToFolder. Copies tensor by tensor, and checks everything before it writes
 * anything. Such a file holds no configs, vocabulary or scheduler, but for what marks say of it: see `scheduler-marks`.
 *
 * @throws WeightsFormatError if the parts are not of a known family, for a scheduler that the file cannot say (see
 *   `withoutScheduler`), or for an autoencoder that it cannot; WeightsMismatchError, WeightsReadError for parts that do
 *   not fit; RangeError for an unknown option
 */
export async function folderToSingleFile(folder: string, path: string, options: ToFileOptions = {}): Promise<void> {
  requireKnownOptions("folderToSingleFile", options, OPTIONS);
  const family = await familyOfFolder(folder);
  const opened: SafetensorsFile[] = [];
  try {
    const tensors = new Map<string, TensorToWrite>();
    const scheduler = (await schedulerOfFolder(folder)) ?? FAMILIES[family].scheduler;
    for (const part of ["unet", "vae", ...Object.keys(FAMILIES[family].textEncoders)]) {
      const inside = joinPath(folder, part);
      const model = modelFromConfig(await readConfig(inside), { from: inside });
      const files = await openModelFolder(inside, options.variant);
      opened.push(...files);
      const copies = tensorsToCopy(files, model.namedParameters(), options);
      for (const [stored, tensor] of gathered(copies, pieceOf(part, model, family))) tensors.set(stored, tensor);
    }
    const vae = await readConfig(joinPath(folder, "vae"));
    const marks = marksOf(folder, family, scheduler, vae);
    requireLatentsKept(folder, family, vae, marks);
    const predicts = scheduler.prediction_type === "v_prediction" ? "v" : "epsilon";
    const metadata = { "modelspec.predict_key": predicts };
    await requireSchedulerKept(folder, family, scheduler, { marks, metadata }, options.withoutScheduler === true);
    for (const [mark, tensor] of marks) tensors.set(mark, tensor);
    await writeSafetensors(path, tensors, metadata);
  } finally {
    await closeAll(opened);
  }
}

/** The family, by its text encoders: only OpenCLIP's have the exact GELU. */
async function familyOfFolder(folder: string): Promise<CheckpointFamily> {
  const has = (part: string) => fileExists(joinPath(folder, part, "config.json"));
  const [first, second] = [await has("text_encoder"), await has("text_encoder_2")];
  if (first || second) await requireAutoencoder(folder);
  if (second) return first ? "sdxl" : "sdxl-refiner";
  if (first) return (await readConfig(joinPath(folder, "text_encoder"))).hidden_act === "gelu" ? "sd2" : "sd1";
  throw new WeightsFormatError(
    `${folder}: there is no text_encoder/config.json. Give the folder of a complete Stable Diffusion pipeline.`,
  );
}

/** @throws WeightsFormatError */
async function requireAutoencoder(folder: string): Promise<void> {
  if (await fileExists(joinPath(folder, "vae", "config.json"))) return;
  throw new WeightsFormatError(
    `${folder}: there is no vae/config.json, and single files are of pipelines with an autoencoder only. ` +
      "Convert it to a folder instead.",
  );
}

/** Where the parameters of a part are stored. */
function pieceOf(part: string, model: Model, family: CheckpointFamily): (name: string) => Piece {
  const { prefix, names } =
    part === "unet"
      ? ({ prefix: UNET_PREFIX, names: "ldm" } as const)
      : part === "vae"
        ? ({ prefix: VAE_PREFIXES[0], names: "ldm" } as const)
        : FAMILIES[family].textEncoders[part as "text_encoder"]!;
  const piece = storedPiece(model, names === "transformers" ? "own" : names);
  return (name) => ({ ...piece(name), stored: prefix + piece(name).stored });
}

/**
 * The tensors under the names of the file: stacked where three share a tensor, transposed, or with the axes of a 1x1
 * convolution.
 */
function gathered(
  copies: ReadonlyMap<string, TensorToWrite>,
  pieceOf: (name: string) => Piece,
): Map<string, TensorToWrite> {
  const stacks = new Map<string, TensorToWrite[]>();
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, tensor] of copies) {
    const { stored, third, transposed } = pieceOf(name);
    if (third !== undefined) {
      const thirds = stacks.get(stored) ?? [];
      thirds[third] = tensor;
      stacks.set(stored, thirds);
    } else tensors.set(stored, transposed ? turned(tensor) : asConvolution(stored, tensor));
  }
  for (const [stored, thirds] of stacks) tensors.set(stored, stacked(thirds));
  return tensors;
}

/** The original code uses 1x1 convolutions as projections in the autoencoder's attention. */
function asConvolution(stored: string, tensor: TensorToWrite): TensorToWrite {
  const isProjection = /\.mid\.attn_1\.(q|k|v|proj_out)\.weight$/.test(stored);
  return isProjection ? { ...tensor, shape: [...tensor.shape, 1, 1] } : tensor;
}

function stacked(thirds: readonly TensorToWrite[]): TensorToWrite {
  const { dtype, shape } = thirds[0]!;
  const data = async () => {
    const size = shape.reduce((product, count) => product * count, 1);
    const all = new Float32Array(3 * size);
    for (const [i, tensor] of thirds.entries()) all.set(await numbersOf(tensor), i * size);
    return all;
  };
  return { dtype, shape: [3 * shape[0]!, ...shape.slice(1)], data };
}

function turned(tensor: TensorToWrite): TensorToWrite {
  const [rows, columns] = tensor.shape as [number, number];
  const data = async () => {
    const numbers = await numbersOf(tensor);
    return Float32Array.from(numbers, (_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]!);
  };
  return { dtype: tensor.dtype, shape: [columns, rows], data };
}

/** tensorsToCopy gives functions that return float32. */
async function numbersOf({ data }: TensorToWrite): Promise<Float32Array> {
  return (data as () => Promise<Float32Array>)();
}

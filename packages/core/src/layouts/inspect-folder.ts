import { type ConditionalDenoiser, type Denoiser, isConditionalDenoiser, isDenoiser } from "../models/denoiser.js";
import { ModelConfigError } from "../models/errors.js";
import { libraryAndClass } from "../models/library-and-class.js";
import { modelFromConfig } from "../models/load-model.js";
import { fileExists, isAddress, joinPath, listFolder } from "../platform/files.js";
import { WeightsReadError } from "../weights/errors.js";
import { closeAll, openModelFolder, readConfig } from "../weights/model-folder.js";
import { readJsonObject } from "../weights/read-json.js";
import { openSafetensors } from "../weights/safetensors.js";
import type { TensorInfo } from "../weights/safetensors-header.js";
import { drawingEstimate } from "./drawing-estimate.js";
import type { CheckpointPart, CheckpointReport } from "./checkpoint-report.js";
import { familyOfWidth } from "../models/published-configs.js";
import type { PredictionGuess } from "./prediction.js";
import { totalsOf } from "./tensor-totals.js";

type Config = Record<string, unknown>;

/** Inspects a folder: a pipeline (`model_index.json`) or one network (`config.json`). */
export async function inspectFolder(folder: string): Promise<CheckpointReport> {
  if (await fileExists(joinPath(folder, "model_index.json"))) return pipelineReport(folder);
  if (await fileExists(joinPath(folder, "config.json"))) {
    const config = await readConfig(folder);
    const { className = "unknown" } = libraryAndClass(config);
    const parts = await partsOf(folder, partNameOf(className), className);
    return {
      kind: "model folder",
      parts,
      ...denoiserFacts(config),
      notes: parts.length === 0 ? [await noWeights(folder)] : [],
    };
  }
  const there = (await listFolder(folder)).slice(0, 10).join(", ") || "nothing";
  throw new WeightsReadError(
    `${folder} has no model_index.json and no config.json; it holds ${there}. Give a folder of diffusers, or the file itself.`,
  );
}

async function pipelineReport(folder: string): Promise<CheckpointReport> {
  const index = await readJson(joinPath(folder, "model_index.json"));
  const report: CheckpointReport = { kind: "pipeline folder", parts: [], notes: [] };
  const networks = new Map<string, object>();
  if (typeof index._class_name === "string") report.notes.push(`Saved by ${index._class_name}.`);
  const factor = Object.hasOwn(index, "vae") ? await latentFactor(folder) : 1;
  for (const [part, entry] of Object.entries(index)) {
    // The index must not lead out of the folder; a part is a plain name.
    if (!Array.isArray(entry) || typeof entry[1] !== "string" || !/^\w+$/.test(part)) continue;
    const inside = joinPath(folder, part);
    if (!isAddress(inside) && !(await fileExists(inside))) report.notes.push(`${part} (${entry[1]}) is missing.`);
    else if (await fileExists(joinPath(inside, "config.json"))) {
      const parts = await partsOf(inside, part, entry[1]);
      if (parts.length === 0) report.notes.push(`${part}: ${await noWeights(inside)}`);
      report.parts.push(...parts);
      const config = await readConfig(inside);
      const network = networkOf(config);
      if (network) networks.set(part, network);
      // unCLIP has no unet; its last network makes the picture.
      if (part === "unet" || part === "super_res_last") Object.assign(report, denoiserFacts(config, factor));
    }
  }
  report.drawing = drawingEstimate(networks, factor);
  for (const part of ["scheduler", "decoder_scheduler"]) {
    const scheduler = joinPath(folder, part, "scheduler_config.json");
    if (await fileExists(scheduler)) report.prediction = statedPrediction(await readJson(scheduler));
  }
  return report;
}

/** diffusers omits a prediction type at its default, epsilon. */
function statedPrediction({ prediction_type: type = "epsilon", _class_name: name }: Config): PredictionGuess {
  return { type: String(type), certainty: "stated", reason: `scheduler_config.json (${String(name)}) says so` };
}

/** Pixels per latent along each side, by the config of the autoencoder. */
async function latentFactor(folder: string): Promise<number> {
  const vae = joinPath(folder, "vae");
  if (!(await fileExists(joinPath(vae, "config.json")))) return LATENT_FACTOR;
  const { block_out_channels: widths } = await readConfig(vae);
  return Array.isArray(widths) && widths.length > 0 ? 2 ** (widths.length - 1) : LATENT_FACTOR;
}

/** The factor of the published Stable Diffusion models. */
const LATENT_FACTOR = 8;

type DenoiserFacts = Pick<CheckpointReport, "family" | "inChannels" | "pictureSize" | "classes">;

/**
 * What the config of a denoiser says; nothing for other networks, and for configs that this library cannot read.
 *
 * @param factor pixels per sample along each side; by default 1 for a network without a context
 */
function denoiserFacts(config: Config, factor?: number): DenoiserFacts {
  const network = denoiserOf(config);
  if (!network) return {};
  const { sampleSize, inChannels, classLabels } = network;
  const width = isConditionalDenoiser(network) ? network.contextWidth : undefined;
  const pixels = factor ?? (width === undefined ? 1 : LATENT_FACTOR);
  return {
    family: familyOfWidth(width),
    inChannels,
    pictureSize: sampleSize && sampleSize[0] * pixels,
    classes: classLabels?.kind === "ids" ? classLabels.count : undefined,
  };
}

function denoiserOf(config: Config): Denoiser | ConditionalDenoiser | undefined {
  const network = networkOf(config);
  return network && isDenoiser(network) ? network : undefined;
}

/** The network of a config, without weights; undefined for configs that this library cannot read. */
function networkOf(config: Config): object | undefined {
  try {
    return modelFromConfig(config);
  } catch (error) {
    if (error instanceof ModelConfigError) return undefined;
    throw error;
  }
}

function partNameOf(className: string): string {
  if (className.startsWith("UNet")) return "unet";
  if (className.startsWith("CLIPText")) return "text_encoder";
  return className === "AutoencoderKL" ? "vae" : className;
}

/** Matches names such as `diffusion_pytorch_model.fp16-00001-of-00002.safetensors`. */
const WEIGHTS_FILE = /^(?:diffusion_pytorch_model|model)(?:\.([^.]+?))?(?:-\d+-of-\d+)?\.safetensors$/;

/** One entry for each set of weights in a folder. */
async function partsOf(folder: string, name: string, className: string): Promise<CheckpointPart[]> {
  const sets = isAddress(folder) ? await setOnServer(folder) : new Map<string | undefined, TensorInfo[]>();
  for (const fileName of await listFolder(folder)) {
    const match = WEIGHTS_FILE.exec(fileName);
    if (!match) continue;
    const file = await openSafetensors(joinPath(folder, fileName));
    sets.set(match[1], [...(sets.get(match[1]) ?? []), ...file.tensors.values()]);
    await file.close();
  }
  return [...sets].map(([variant, infos]) => ({ name, className, ...(variant && { variant }), ...totalsOf(infos) }));
}

/** The weights that opening the folder would read; a server does not list its files. */
async function setOnServer(folder: string): Promise<Map<string | undefined, TensorInfo[]>> {
  const files = await openModelFolder(folder).catch((error: unknown) => {
    if (error instanceof WeightsReadError) return [];
    throw error;
  });
  const infos = files.flatMap(({ tensors }) => [...tensors.values()]);
  await closeAll(files);
  return new Map(files.length > 0 ? [[undefined, infos]] : []);
}

async function noWeights(folder: string): Promise<string> {
  const pickle = (await listFolder(folder)).find((name) => /\.(bin|ckpt|pt|pth)$/.test(name));
  return pickle ? `${pickle} is a pickle, which is not read: convert it to safetensors.` : "no safetensors weights.";
}

function readJson(path: string): Promise<Config> {
  return readJsonObject(path, { remedy: "Download it again." });
}

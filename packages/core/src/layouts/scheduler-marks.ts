import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { AutoencoderKLConfig } from "../models/autoencoder/autoencoder-kl-config.js";
import { WeightsFormatError } from "../weights/errors.js";
import { float32 } from "../weights/parameters.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { TensorToWrite } from "../weights/write-safetensors.js";
import type { CheckpointFamily } from "../models/published-configs.js";

/**
 * Tensors that no network uses. Their names show for which sampler a single file was trained:
 *
 * - `v_pred`: it predicts v. Shape and value mean nothing.
 * - `ztsnr`: the last noise level is pure noise (Lin et al. 2024), for networks that predict v.
 * - `edm_mean`, `edm_std`: Playground v2.5: noise levels of EDM (Karras et al. 2022), latents normalised by channel.
 * - `edm_vpred.sigma_max`, `edm_vpred.sigma_min`: CosXL: noise levels of EDM, predicts v.
 */
export const MARKS = ["v_pred", "ztsnr", "edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min"] as const;

type Config = Readonly<Record<string, unknown>>;

/** The settings from the marks of a file, and the marks that have no meaning together with the others. */
export interface MarkedScheduler {
  scheduler: Config;
  /** Keys of the autoencoder's config. */
  vae: Partial<AutoencoderKLConfig>;
  unused: string[];
}

/** As diffusers opens Playground v2.5, with the default values that it leaves out. */
const PLAYGROUND = {
  _class_name: "EDMDPMSolverMultistepScheduler",
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: "karras",
  rho: 7,
  num_train_timesteps: 1000,
  solver_order: 2,
  algorithm_type: "dpmsolver++",
  solver_type: "midpoint",
  lower_order_final: true,
  euler_at_final: false,
  final_sigmas_type: "zero",
  prediction_type: "epsilon",
};
const PLAYGROUND_SCALING = 0.5;

/** As ComfyUI samples CosXL; diffusers has the same in the scheduler of its folder. */
const COSXL = {
  _class_name: "EDMEulerScheduler",
  sigma_min: 0.002,
  sigma_max: 120,
  sigma_data: 1,
  sigma_schedule: "exponential",
  prediction_type: "v_prediction",
};

const ZERO_SNR = { rescale_betas_zero_snr: true, timestep_spacing: "trailing" };

/**
 * The scheduler of a file with marks.
 *
 * @param base the scheduler without them, with the file's prediction type
 * @throws WeightsFormatError for marks of EDM in another family than XL, or that are not complete
 */
export async function readMarks(
  file: SafetensorsFile,
  family: CheckpointFamily,
  base: Config,
): Promise<MarkedScheduler> {
  const present = MARKS.filter((mark) => file.tensors.has(mark));
  const unusedBut = (...used: string[]) => present.filter((mark) => !used.includes(mark));
  const isEdm = present.some((mark) => /^edm_(mean|std|vpred\.sigma_max)$/.test(mark));
  if (isEdm && family !== "sdxl") {
    throw new WeightsFormatError(
      `${file.name}: has the marks ${present.join(", ")}, which are known of Stable Diffusion XL; this is ${family}. ` +
        "Give a folder of diffusers, whose scheduler says how it samples.",
    );
  }
  if (present.includes("edm_mean") || present.includes("edm_std")) {
    const [latents_mean, latents_std] = [await numbersOf(file, "edm_mean"), await numbersOf(file, "edm_std")];
    const vae = { scaling_factor: PLAYGROUND_SCALING, latents_mean, latents_std };
    return { scheduler: PLAYGROUND, vae, unused: unusedBut("edm_mean", "edm_std") };
  }
  if (present.includes("edm_vpred.sigma_max")) {
    const sigma = async (end: "sigma_max" | "sigma_min") =>
      file.tensors.has(`edm_vpred.${end}`) ? (await numbersOf(file, `edm_vpred.${end}`))[0]! : COSXL[end];
    const range = { sigma_max: await sigma("sigma_max"), sigma_min: await sigma("sigma_min") };
    if (!(range.sigma_min > 0 && range.sigma_max > range.sigma_min && range.sigma_max < Infinity)) {
      throw new WeightsFormatError(
        `${file.name}: edm_vpred.sigma_max is ${range.sigma_max}, edm_vpred.sigma_min ${range.sigma_min}; ` +
          "expected two noise levels above 0, the first the larger.",
      );
    }
    const used = ["edm_vpred.sigma_max", "edm_vpred.sigma_min", "v_pred"];
    return { scheduler: { ...COSXL, ...range }, vae: {}, unused: unusedBut(...used) };
  }
  if (base.prediction_type !== "v_prediction" || !present.includes("ztsnr"))
    return { scheduler: base, vae: {}, unused: unusedBut("v_pred") };
  return { scheduler: { ...withZeroSnr(base), ...ZERO_SNR }, vae: {}, unused: unusedBut("v_pred", "ztsnr") };
}

/** The same scheduler, or DDIM on the same noise levels if its class cannot start at pure noise. */
function withZeroSnr(base: Config): Config {
  if ("rescale_betas_zero_snr" in schedulerFromConfig(base).config) return base;
  return { ...base, _class_name: "DDIMScheduler", clip_sample: false };
}

async function numbersOf(file: SafetensorsFile, mark: (typeof MARKS)[number]): Promise<number[]> {
  const info = file.tensors.get(mark);
  if (info) return Array.from(float32(await file.read(mark)), shortest);
  const other = mark === "edm_mean" ? "edm_std" : "edm_mean";
  throw new WeightsFormatError(
    `${file.name}: has the mark ${other} without ${mark}; both together normalise the latents. Download it again.`,
  );
}

/** The shortest decimal that is rounded to this float32: 0.002 in place of 0.0020000000949949026. */
function shortest(value: number): number {
  const candidates = [6, 7, 8].map((digits) => Number(value.toPrecision(digits)));
  return candidates.find((decimal) => Math.fround(decimal) === value) ?? value;
}

const EMPTY: TensorToWrite = { dtype: "F32", shape: [0], data: new Float32Array(0) };

/**
 * The marks that say in a single file what a scheduler and an autoencoder of a folder say in their configs: the inverse
 * of {@link readMarks}.
 *
 * @throws WeightsFormatError if a single file cannot say it
 */
export function marksOf(
  folder: string,
  family: CheckpointFamily,
  scheduler: Config,
  { latents_mean: mean, latents_std: std, scaling_factor: scale }: Partial<AutoencoderKLConfig>,
): Map<string, TensorToWrite> {
  const { network = "timestep" } = schedulerFromConfig(scheduler).traits ?? {};
  const { prediction_type: type = "epsilon", rescale_betas_zero_snr: isZeroSnr } = scheduler as {
    prediction_type?: string;
    rescale_betas_zero_snr?: boolean;
  };
  const numbers = (values: number[], shape: number[]): TensorToWrite => {
    return { dtype: "F32", shape, data: Float32Array.from(values) };
  };
  const isXlEdm = family === "sdxl" && network === "edm";
  if (isXlEdm && type === "epsilon" && mean && std && scale === PLAYGROUND_SCALING) {
    requireSame(folder, scheduler, PLAYGROUND, ["sigma_min", "sigma_max", "sigma_data"]);
    return new Map([
      ["edm_mean", numbers(mean, [mean.length])],
      ["edm_std", numbers(std, [std.length])],
    ]);
  }
  if (isXlEdm && type === "v_prediction" && !mean) {
    requireSame(folder, scheduler, COSXL, ["sigma_data"]);
    const { sigma_max = COSXL.sigma_max, sigma_min = COSXL.sigma_min } = schedulerFromConfig(scheduler).config as {
      sigma_max?: number;
      sigma_min?: number;
    };
    return new Map([
      ["edm_vpred.sigma_max", numbers([sigma_max], [])],
      ["edm_vpred.sigma_min", numbers([sigma_min], [])],
    ]);
  }
  const isSaid = (network === "timestep" || network === "distilled") && !mean;
  if (!isSaid || (type !== "epsilon" && type !== "v_prediction") || (isZeroSnr && type === "epsilon")) {
    const what = mean ? "its autoencoder's latents_mean" : `its scheduler (${String(scheduler._class_name)}, ${type})`;
    throw new WeightsFormatError(
      `${folder}: a single file cannot say ${what}, and would draw otherwise. Keep the folder.`,
    );
  }
  if (type === "epsilon") return new Map();
  return new Map([["v_pred", EMPTY], ...(isZeroSnr ? [["ztsnr", EMPTY] as const] : [])]);
}

function requireSame(folder: string, scheduler: Config, published: Config, keys: readonly string[]): void {
  const { config } = schedulerFromConfig(scheduler);
  const other = keys.filter((key) => config[key] !== published[key]);
  if (other.length === 0) return;
  throw new WeightsFormatError(
    `${folder}: its scheduler has ${other.map((key) => `${key} ${String(config[key])}`).join(", ")}, where a single ` +
      `file always means ${other.map((key) => String(published[key])).join(", ")}. Keep the folder.`,
  );
}

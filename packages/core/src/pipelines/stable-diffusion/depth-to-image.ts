import * as tf from "@tensorflow/tfjs";
import { bicubicResize } from "../../image/bicubic-resize.js";
import type { ModelFiles } from "../../platform/model-files.js";
import type { BytesFrom } from "../../weights/open-bytes.js";
import type { StepWindow } from "../drawing/step-window.js";
import type { FolderKind } from "../files/model-index.js";
import type { StableDiffusionFileOptions } from "../files/pipeline-file.js";
import type { FromPretrainedOptions } from "../files/pipeline-folder.js";
import { PipelineOptionError } from "../options/errors.js";
import { type OptionTable, refused, tensor } from "../options/option.js";
import { requireOption } from "../options/option-checks.js";
import { readOptions } from "../options/read-options.js";
import {
  openStableDiffusion,
  openStableDiffusionFile,
  STABLE_DIFFUSION_PARTS,
  type StableDiffusionParts,
  StableDiffusionPipeline,
} from "./stable-diffusion.js";
import {
  type CheckedOptions,
  STABLE_DIFFUSION_OPTIONS,
  type StableDiffusionOptions,
} from "./stable-diffusion-options.js";
import type { Start, StartRequest } from "./stable-diffusion-starts.js";
import { repeatRows } from "./text-conditioning.js";

const NAME = "StableDiffusionDepth2ImgPipeline";
const NO_MASK = "this pipeline redraws whole pictures";

/** The options of {@link StableDiffusionDepth2ImgPipeline}. */
export const DEPTH_OPTIONS = {
  ...STABLE_DIFFUSION_OPTIONS,
  /**
   * Depth map of the picture, [H, W] or [B, H, W] of any size and range: larger values are nearer, as in MiDaS and DPT.
   */
  depthMap: tensor<tf.Tensor2D | tf.Tensor3D>(),
  mask: refused(NO_MASK),
  pasteBack: refused(NO_MASK),
  maskBlur: refused(NO_MASK),
  paddingMaskCrop: refused(NO_MASK),
  denoisingStart: refused(NO_MASK),
};

/** What to draw from a picture and its depths: `image` and `depthMap`. */
export interface DepthOptions extends Omit<
  StableDiffusionOptions,
  "mask" | "pasteBack" | "maskBlur" | "paddingMaskCrop" | "denoisingStart"
> {
  depthMap?: tf.Tensor2D | tf.Tensor3D;
}

type Checked = CheckedOptions & { depthMap: tf.Tensor2D | tf.Tensor3D };

/** The parts of its folders. The depth map is an option, so the network that estimates one is not read. */
export const DEPTH_PARTS = { ...STABLE_DIFFUSION_PARTS, depth_estimator: { optional: true } };

/**
 * Stable Diffusion 2's depth-to-image model: image-to-image whose UNet also reads a depth map, in a further channel of
 * its input, and so keeps the shapes. Estimate the depth map with another program.
 */
export class StableDiffusionDepth2ImgPipeline extends StableDiffusionPipeline {
  static override readonly folder: FolderKind = { className: NAME, parts: DEPTH_PARTS };
  static override readonly options: OptionTable = DEPTH_OPTIONS;
  override readonly options: OptionTable = DEPTH_OPTIONS;

  /** @throws PipelinePartsError if the parts do not fit */
  constructor(parts: StableDiffusionParts) {
    super(parts, NAME, () => 1);
  }

  /** As StableDiffusionPipeline's. */
  static override async fromPretrained(
    from: BytesFrom | ModelFiles,
    options: FromPretrainedOptions & StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionDepth2ImgPipeline> {
    return openStableDiffusion(from, options, this.folder, (parts) => new StableDiffusionDepth2ImgPipeline(parts));
  }

  /** As StableDiffusionPipeline's. */
  static override async fromSingleFile(
    from: BytesFrom,
    options: StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionDepth2ImgPipeline> {
    return openStableDiffusionFile(from, options, this.folder, (parts) => new StableDiffusionDepth2ImgPipeline(parts));
  }

  protected override check(given: DepthOptions): Checked {
    const { depthMap } = readOptions(given, DEPTH_OPTIONS);
    const { depthMap: _, ...others } = given;
    const options = readOptions(others, STABLE_DIFFUSION_OPTIONS);
    const missing = Object.entries({ image: options.image, depthMap }).filter(([, value]) => value === undefined);
    if (missing.length > 0) {
      const names = missing.map(([name]) => name).join(", ");
      throw new PipelineOptionError(`${names}: missing; this pipeline draws from a picture and its depths.`);
    }
    const fitted = this.fit(given, options);
    const [batch] = fitted.shape;
    const rows = depthMap!.rank === 2 ? 1 : depthMap!.shape[0];
    const isMap = (depthMap!.rank === 2 || depthMap!.rank === 3) && (rows === 1 || rows === batch);
    requireOption(isMap, "depthMap", `[${depthMap!.shape.join(", ")}]`, `[H, W], or [1 or ${batch}, H, W]`);
    return { ...options, ...fitted, depthMap: depthMap! };
  }

  protected override start(request: StartRequest, checked: CheckedOptions, window: StepWindow): Start {
    const start = super.start(request, checked, window);
    const [batch, height, width] = request.shape;
    const context = tf.tidy(() => {
      const { depthMap } = checked as Checked;
      const maps = depthMap.toFloat().reshape<tf.Tensor4D>([-1, ...depthMap.shape.slice(-2), 1]);
      const small = bicubicResize(maps, [height, width]);
      const [least, most] = [small.min([1, 2, 3], true), small.max([1, 2, 3], true)];
      const unit = small.sub<tf.Tensor4D>(least).divNoNan<tf.Tensor4D>(most.sub(least));
      return repeatRows(unit.mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1), batch / unit.shape[0]);
    });
    return { ...start, context, tensors: [...start.tensors, context] };
  }
}

import * as tf from "@tensorflow/tfjs";
import type { ModelFiles } from "../../platform/model-files.js";
import type { BytesFrom } from "../../weights/open-bytes.js";
import { needsGuidance } from "../drawing/guidance.js";
import { rowsOfSlice } from "../drawing/slices.js";
import type { StepWindow } from "../drawing/step-window.js";
import type { FolderKind } from "../files/model-index.js";
import type { StableDiffusionFileOptions } from "../files/pipeline-file.js";
import type { FromPretrainedOptions } from "../files/pipeline-folder.js";
import { PipelineOptionError } from "../options/errors.js";
import { finite, type OptionTable, refused, withDefaults } from "../options/option.js";
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
  withAllAxes,
} from "./stable-diffusion-options.js";
import type { Start, StartRequest } from "./stable-diffusion-starts.js";
import { type Condition, conditionOfSlice } from "./conditions.js";
import type { DenoiseRequest, StepDenoiser } from "./step-denoiser.js";
import { repeatRows, type TextConditioning } from "./text-conditioning.js";

const NAME = "StableDiffusionInstructPix2PixPipeline";
const WHOLE = "the whole picture is redrawn from noise, according to the instruction";
const TWOFOLD = "guidance is by the text and by the picture here";

const WITHOUT_OWN = withDefaults(STABLE_DIFFUSION_OPTIONS, { numInferenceSteps: 100 });

/** The options of {@link StableDiffusionInstructPix2PixPipeline}. */
export const PIX2PIX_OPTIONS = {
  ...WITHOUT_OWN,
  /** How closely to follow the picture; less than 1 is no guidance at all. Default 1.5. */
  imageGuidanceScale: finite("a finite number", {
    default: 1.5,
    flag: { usage: "--image-guidance N", help: "how closely to follow the picture" },
  }),
  mask: refused(WHOLE),
  strength: refused(WHOLE),
  pasteBack: refused(WHOLE),
  maskBlur: refused(WHOLE),
  paddingMaskCrop: refused(WHOLE),
  denoisingStart: refused(WHOLE),
  control: refused("this pipeline reads its picture without a ControlNet"),
  ipAdapter: refused("an IP-Adapter beside InstructPix2Pix is not supported here, though diffusers has it"),
  adapter: refused("this pipeline reads its picture without an adapter"),
  guidanceRescale: refused(TWOFOLD),
  guidanceInterval: refused(TWOFOLD),
  guidanceFunction: refused(TWOFOLD),
  pagScale: refused(TWOFOLD),
  pagAdaptiveScale: refused(TWOFOLD),
  pagAppliedLayers: refused(TWOFOLD),
};

/** What to change in a picture, and how: `prompt` is the instruction, `image` the picture. */
export interface Pix2PixOptions extends Omit<
  StableDiffusionOptions,
  "mask" | "strength" | "pasteBack" | "maskBlur" | "paddingMaskCrop" | "denoisingStart" | "control" | "guidanceRescale"
> {
  /** How closely to follow the picture; less than 1 is no guidance at all. Default 1.5. */
  imageGuidanceScale?: number;
}

type Checked = CheckedOptions & { original: tf.Tensor3D | tf.Tensor4D; imageGuidanceScale: number };

/**
 * InstructPix2Pix (Brooks et al. 2023): changes a picture according to an instruction. Its UNet reads the latents of
 * the picture in further channels of its input. Picture and instruction both have guidance (eq. 3):
 *
 *     e = e(0, 0) + s_I (e(I, 0) - e(0, 0)) + s_T (e(I, T) - e(I, 0))
 */
export class StableDiffusionInstructPix2PixPipeline extends StableDiffusionPipeline {
  static override readonly folder: FolderKind = { className: NAME, parts: STABLE_DIFFUSION_PARTS };
  static override readonly options: OptionTable = PIX2PIX_OPTIONS;
  override readonly options: OptionTable = PIX2PIX_OPTIONS;

  /** @throws PipelinePartsError if the parts do not fit */
  constructor(parts: StableDiffusionParts) {
    super(parts, NAME, (channels) => channels);
  }

  /** As StableDiffusionPipeline's. */
  static override async fromPretrained(
    from: BytesFrom | ModelFiles,
    options: FromPretrainedOptions & StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionInstructPix2PixPipeline> {
    return openStableDiffusion(
      from,
      options,
      this.folder,
      (parts) => new StableDiffusionInstructPix2PixPipeline(parts),
    );
  }

  /** As StableDiffusionPipeline's. */
  static override async fromSingleFile(
    from: BytesFrom,
    options: StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionInstructPix2PixPipeline> {
    return openStableDiffusionFile(
      from,
      options,
      this.folder,
      (parts) => new StableDiffusionInstructPix2PixPipeline(parts),
    );
  }

  protected override check(given: Pix2PixOptions): Checked {
    const { imageGuidanceScale } = readOptions(given, PIX2PIX_OPTIONS);
    const { imageGuidanceScale: _, ...others } = given;
    const options = readOptions(others, WITHOUT_OWN);
    if (!options.image) throw new PipelineOptionError("image: missing; give the picture to change.");
    const fitted = this.fit(given, options);
    if (fitted.isComposed)
      throw new PipelineOptionError(`prompt: has AND, or a weight at its end, but ${TWOFOLD}. Leave it out.`);
    return { ...options, ...fitted, image: undefined, original: options.image, imageGuidanceScale };
  }

  protected override pictures(checked: CheckedOptions) {
    return { image: (checked as Checked).original };
  }

  protected override isGuided(checked: CheckedOptions): boolean {
    return needsGuidance(checked.guidanceScale) && (checked as Checked).imageGuidanceScale >= 1;
  }

  /** With guidance the context is that of the prompts, then twice that of the negative prompts. */
  protected override condition(
    checked: CheckedOptions,
    positive: TextConditioning,
    negative?: TextConditioning,
  ): Condition {
    const { context, inputs } = super.condition(checked, positive, negative);
    if (!negative) return { context, inputs };
    const [away, towards] = tf.split(context, 2) as [tf.Tensor3D, tf.Tensor3D];
    return { context: tf.concat([towards, away, away]), inputs };
  }

  protected override start(request: StartRequest, checked: CheckedOptions, window: StepWindow): Start {
    const start = super.start(request, checked, window);
    const { space, shape } = request;
    const context = tf.tidy(() => {
      const size = [shape[1] * space.factor, shape[2] * space.factor, 3] as const;
      const latents = space.encodeMean(withAllAxes((checked as Checked).original, size));
      return repeatRows(latents, shape[0] / latents.shape[0]);
    });
    return { ...start, context, tensors: [...start.tensors, context] };
  }

  protected override denoiser({ unet, conditionOf, isGuided, shown, checked }: DenoiseRequest): StepDenoiser {
    const { guidanceScale, freeU } = checked;
    const { imageGuidanceScale } = checked as Checked;
    return (x, timestep, index, slice) => {
      const picture = rowsOfSlice(shown!, slice);
      const { context, inputs } = conditionOfSlice(conditionOf(index), slice);
      const predict = (batch: tf.Tensor4D, seen: tf.Tensor4D) =>
        unet.forward(tf.concat([batch, seen], 3), timestep, context, { ...inputs, ...(freeU && { freeU }) });
      if (!isGuided) return predict(x, picture);
      const seen = tf.concat([picture, picture, tf.zerosLike(picture)]);
      const output = predict(tf.concat([x, x, x]), seen);
      const [both, ofPicture, ofNothing] = tf.split(output, 3) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
      const byText = both.sub<tf.Tensor4D>(ofPicture).mul<tf.Tensor4D>(guidanceScale);
      const byPicture = ofPicture.sub<tf.Tensor4D>(ofNothing).mul<tf.Tensor4D>(imageGuidanceScale);
      return ofNothing.add<tf.Tensor4D>(byText).add(byPicture);
    };
  }
}

import * as tf from "@tensorflow/tfjs";
import type { FolderKind } from "../files/model-index.js";
import { CLIPImageProcessor } from "../../image/clip-image-processor.js";
import { joinPath } from "../../platform/files.js";
import { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import type { OptionTable } from "../options/option.js";
import { needsGuidance } from "../drawing/guidance.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import { repeatRows } from "../stable-diffusion/text-conditioning.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { picturesAtOnce } from "../drawing/drawing-memory.js";
import { noiseOf } from "../drawing/noise-of.js";
import {
  checkVariation,
  requirePictureShape,
  UNCLIP_IMAGE_VARIATION_OPTIONS,
  type UnCLIPImageVariationOptions,
  type UnCLIPStep,
} from "./unclip-options.js";
import { liveParts } from "../parts/live-parts.js";
import {
  DRAWING_PARTS,
  drawingFolders,
  readDrawingParts,
  requireDrawingParts,
  requireImageEncoder,
  VARIATION_KINDS,
  type UnCLIPImageVariationParts,
} from "./unclip-parts.js";
import { unclipNeeds } from "./unclip-needs.js";
import { UnCLIPDrawingPipeline } from "./unclip-pipeline.js";
import { requireFiniteTensors, requirePictures } from "../options/option-checks.js";
import { decoderPlan, drawEmbeddings, stagePlan } from "./unclip-stages.js";
import { repeatStates } from "./unclip-text.js";
import type { ModelPlace } from "../../platform/model-files.js";

const NAME = "UnCLIPImageVariationPipeline";
const PARTS = {
  ...DRAWING_PARTS,
  image_encoder: { networks: { CLIPVisionModelWithProjection } },
  feature_extractor: {},
};

/**
 * Image variations of unCLIP (Ramesh et al. 2022, section 3.1): draws new pictures from a picture's CLIP embedding,
 * without text. Embeddings interpolated by `slerp` give pictures in between (section 3.2).
 */
export class UnCLIPImageVariationPipeline extends UnCLIPDrawingPipeline<
  UnCLIPImageVariationParts,
  UnCLIPImageVariationOptions
> {
  readonly input = "image";
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: NAME, parts: PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = UNCLIP_IMAGE_VARIATION_OPTIONS;
  readonly options: OptionTable = UNCLIP_IMAGE_VARIATION_OPTIONS;

  /** @throws PipelinePartsError if the parts do not fit each other */
  constructor(parts: UnCLIPImageVariationParts) {
    super(
      liveParts(NAME, { ...parts }, VARIATION_KINDS, (parts) => {
        requireDrawingParts(NAME, parts);
        requireImageEncoder(NAME, parts);
      }),
    );
  }

  /**
   * Opens a folder in the layout of diffusers, or a model of the Hugging Face hub by its name, "owner/name".
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(
    from: ModelPlace,
    options: FromPretrainedOptions = {},
  ): Promise<UnCLIPImageVariationPipeline> {
    return PipelineFolder.open(from, PARTS, options, async (folder) => {
      const featureExtractor = await CLIPImageProcessor.fromFolder(joinPath(folder.folder, "feature_extractor"));
      const imageEncoder = await folder.model<CLIPVisionModelWithProjection>("image_encoder");
      return new UnCLIPImageVariationPipeline({ ...(await readDrawingParts(folder)), imageEncoder, featureExtractor });
    });
  }

  /** Writes a folder that {@link fromPretrained} reads. `save` can halve the precision and split large files. */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { imageEncoder, featureExtractor } = this.parts;
    const parts = { ...drawingFolders(this.parts), image_encoder: imageEncoder, feature_extractor: featureExtractor };
    await writePipelineFolder(folder, NAME, parts, { save });
  }

  /**
   * The CLIP embeddings of pictures [H, W, 3] or [N, H, W, 3] in [0, 1]: [N, D], which the caller owns.
   *
   * @throws PipelineOptionError for other shapes and values
   */
  imageEmbeddings(images: tf.Tensor3D | tf.Tensor4D): tf.Tensor2D {
    requirePictureShape("images", images);
    const { featureExtractor, imageEncoder } = this.parts;
    return tf.tidy(() => {
      const batch = images.reshape<tf.Tensor4D>([-1, ...images.shape.slice(-3)]);
      return imageEncoder.forward(featureExtractor.forward(batch)).imageEmbeds;
    });
  }

  async *steps(options: UnCLIPImageVariationOptions): AsyncGenerator<UnCLIPStep, void, undefined> {
    // A copy, so that parts assigned meanwhile do not change later stages.
    const [parts, sizes] = [{ ...this.parts }, this.sizes];
    const checked = checkVariation(options, sizes);
    const { signal, image, batch, numImages, guidanceScale } = checked;
    signal?.throwIfAborted();
    await requirePictures({ image });
    await requireFiniteTensors(checked);
    const { scheduler = parts.decoderScheduler } = checked;
    const { superResScheduler } = parts;
    const watch = new FiniteWatch(parts, checked.debug);
    const isGuided = needsGuidance(guidanceScale);
    const run = {
      atOnce: picturesAtOnce(unclipNeeds(parts, batch, isGuided), checked.batchSize),
      stages: {
        decoder: decoderPlan(scheduler, checked.steps, checked.stepsOption),
        superResolution: stagePlan(superResScheduler, checked.superResNumInferenceSteps, "superResNumInferenceSteps"),
      },
      noise: noiseOf(checked),
      signal,
      watch,
    };
    const rows = isGuided ? 2 * batch : batch;
    const states = watch.over("Reading the prompts", () => tf.tidy(() => repeatStates(this.textStates([""]), rows)));
    let imageEmbeddings: tf.Tensor2D | undefined;
    try {
      imageEmbeddings = watch.over("Encoding the picture", () =>
        tf.tidy(() => repeatRows(checked.imageEmbeddings ?? this.imageEmbeddings(image!), numImages)),
      );
      yield* drawEmbeddings(parts, { ...checked, imageEmbeddings, states, ...sizes }, run);
    } finally {
      tf.dispose([states, imageEmbeddings ?? []]);
    }
  }
}

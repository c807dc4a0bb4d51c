export type { AddOnFileOptions } from "./adapters/add-on-file.js";
export { type LoadLoraOptions, LoraSet } from "./adapters/lora.js";
export type { LoraModels } from "./adapters/lora-file.js";
export type { LoraPart } from "./adapters/lora-names.js";
export type { LoraSettings } from "./adapters/lora-scaling.js";
export { loadTextualInversion, type TextualInversionOptions } from "./adapters/textual-inversion.js";
export { AdamW, type AdamWOptions, type AdamWState } from "./training/adamw.js";
export { ParameterBuckets } from "./training/buckets.js";
export { checkpointFile, type CheckpointStore } from "./training/checkpoint-file.js";
export { dropConditions } from "./training/condition-dropout.js";
export { dataOrder } from "./training/data-order.js";
export {
  denoisingLoss,
  type DenoisingLossOptions,
  type ForwardProcess,
  minSnrWeights,
  type TrainingTarget,
} from "./training/denoising-loss.js";
export {
  CheckpointMismatchError,
  CheckpointWriteError,
  DamagedCheckpointError,
  NonFiniteError,
  TrainingInterruptedError,
} from "./training/errors.js";
export { stopOnInterrupt } from "./training/interrupt.js";
export { type BatchContext, train, type TrainingStep, type TrainOptions, type WithEma } from "./training/train.js";
export { Ema } from "./training/ema.js";
export { clipGradients, globalNorm, parameterGradients } from "./training/gradients.js";
export { warmupCosine } from "./training/learning-rate.js";
export { TrainableLora, type TrainableLoraOptions } from "./training/lora.js";

export { BACKEND_NAMES, type BackendName, type BackendOptions } from "./backend/candidate.js";
export { BackendUnavailableError, type ChosenBackend, useBackend } from "./backend/use-backend.js";

export type { CLIPConfig, CLIPTextConfig, CLIPVisionConfig } from "./models/clip/clip-config.js";
export { CLIPModel, type CLIPOutput, contrastiveLoss } from "./models/clip/clip-model.js";
export {
  CLIPTextModel,
  CLIPTextModelWithProjection,
  type CLIPTextOptions,
  type CLIPTextOutput,
} from "./models/clip/clip-text-model.js";
export {
  CLIPVisionModel,
  CLIPVisionModelWithProjection,
  type CLIPVisionOutput,
} from "./models/clip/clip-vision-model.js";
export { Model } from "./models/model.js";
export { ModelConfigError, ModelInputError } from "./models/errors.js";
export type { UNet2DConditionConfig } from "./models/unet/unet-2d-condition-config.js";
export { UNet2DConditionModel, type UNet2DConditionInputs } from "./models/unet/unet-2d-condition.js";
export { checkLayersFinite, type LayerListener, NonFiniteLayerError, traceLayers } from "./nn/layer-trace.js";
export { forgetRecorded } from "./nn/recorded.js";
export { MissingWeightsError, Parameter } from "./nn/parameter.js";
export { Conv2d, type Conv2dOptions } from "./nn/conv2d.js";
export { Linear, type LinearOptions } from "./nn/linear.js";
export type { UNet2DConfig } from "./models/unet/unet-2d-config.js";
export { type UNet2DInputs, UNet2DModel } from "./models/unet/unet-2d.js";
export type { AutoencoderKLConfig } from "./models/autoencoder/autoencoder-kl-config.js";
export {
  AutoencoderKL,
  type AutoencoderOptions,
  klToStandardNormal,
  type LatentDistribution,
} from "./models/autoencoder/autoencoder-kl.js";

export { downloadFromHub, type HubOptions, type HubProgress } from "./hub/download.js";
export { HubError, type HubFailure } from "./hub/errors.js";
export type { HubModelOptions } from "./hub/model-source.js";
export type { FileWishes } from "./hub/select-files.js";

export { decodePng, encodePng, ImageError, type PngOptions, pngTexts } from "./image/png.js";
export { type GridOptions, imageGrid } from "./image/grid.js";
export { toUnit } from "./image/to-unit.js";
export { CLIPImageProcessor, type CLIPImageProcessorConfig } from "./image/clip-image-processor.js";
export { resizeBicubic, type ResizeOptions } from "./image/resize-bicubic.js";
export { loadModel, type LoadModelOptions, modelFromConfig } from "./models/load-model.js";
export { FileWriteError, PlatformError } from "./platform/files.js";
export {
  CLIPTokenizer,
  type EncodeOptions,
  type TokenizerFolderOptions,
  type TokenizerParts,
} from "./text/tokenizer.js";
export { parsePromptWeights, type WeightedText } from "./text/prompt-weights.js";
export { TokenizerFilesError } from "./text/tokenizer-files.js";
export type { Dtype, NumberArray } from "./weights/dtypes.js";
export { WeightsFormatError, WeightsMismatchError, WeightsReadError } from "./weights/errors.js";
export type { SaveOptions } from "./weights/model-folder.js";
export { parametersToTensors, readParameters, type WeightPrecision } from "./weights/parameters.js";
export type { BytesFrom } from "./weights/open-bytes.js";
export { openSafetensors, type SafetensorsFile } from "./weights/safetensors.js";
export type { TensorInfo } from "./weights/safetensors-header.js";
export {
  encodeSafetensors,
  type TensorsToWrite,
  type TensorToWrite,
  writeSafetensors,
} from "./weights/write-safetensors.js";
export type { ControlNetConfig } from "./models/unet/controlnet-config.js";
export { ControlNetModel, type ControlNetOptions, type ControlNetOutput } from "./models/unet/controlnet.js";
export { PriorTransformer, type PriorInputs, type PriorTransformerConfig } from "./models/clip/prior-transformer.js";
export {
  type UnCLIPTextProjConfig,
  type UnCLIPTextProjInputs,
  UnCLIPTextProjModel,
  type UnCLIPTextProjOutput,
} from "./models/clip/unclip-text-proj.js";

export { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "./pipelines/options/errors.js";
export { guide } from "./pipelines/drawing/guidance.js";
export { type AnyPipeline, openPipeline, type OpenPipelineOptions } from "./pipelines/open-pipeline.js";
export { convertFolder, type ConvertFolderOptions } from "./layouts/convert-folder.js";
export { folderToSingleFile, type ToFileOptions } from "./layouts/convert-to-file.js";
export { singleFileToFolder, type ToFolderOptions } from "./layouts/convert-to-folder.js";
export { type CheckpointFamily } from "./layouts/families.js";
export {
  type CheckpointKind,
  type CheckpointPart,
  type CheckpointReport,
  inspectCheckpoint,
} from "./layouts/inspect.js";
export type { PredictionGuess } from "./layouts/prediction.js";
export { CLIP_VOCABULARY, type VocabularySource } from "./layouts/vocabulary.js";
export type { TensorTally } from "./layouts/tally.js";
export { loadSingleFile, type SingleFileOptions, type SingleFileParts } from "./layouts/single-file.js";
export type { Control } from "./pipelines/stable-diffusion/control.js";
export { type Borders, outpaintCanvas, pasteBack } from "./pipelines/stable-diffusion/inpainting.js";
export type {
  LatentPipelineParts,
  PromptStates,
  StableDiffusionStep,
} from "./pipelines/stable-diffusion/latent-pipeline.js";
export type { StableDiffusionFileOptions } from "./pipelines/files/pipeline-file.js";
export type { FromPretrainedOptions } from "./pipelines/files/pipeline-folder.js";
export { type StableDiffusionParts, StableDiffusionPipeline } from "./pipelines/stable-diffusion/stable-diffusion.js";
export type { PromptOptions, StableDiffusionOptions } from "./pipelines/stable-diffusion/stable-diffusion-options.js";
export {
  type StableDiffusionXLFileOptions,
  type StableDiffusionXLParts,
  StableDiffusionXLPipeline,
} from "./pipelines/stable-diffusion/stable-diffusion-xl.js";
export type { PixelPair, StableDiffusionXLOptions } from "./pipelines/stable-diffusion/stable-diffusion-xl-options.js";
export { TextToImagePipeline, type TextToImageStep } from "./pipelines/pixels/text-to-image.js";
export type { TextToImageOptions } from "./pipelines/pixels/text-to-image-options.js";
export type { TextToImageParts } from "./pipelines/pixels/text-to-image-parts.js";
export {
  type DiffEditSchedulers,
  type DiffEditStep,
  StableDiffusionDiffEditPipeline,
} from "./pipelines/diff-edit/diff-edit.js";
export type {
  DiffEditInvertOptions,
  DiffEditMaskOptions,
  DiffEditOptions,
  DiffEditSettings,
} from "./pipelines/diff-edit/diff-edit-options.js";
export { UnCLIPImageVariationPipeline } from "./pipelines/unclip/unclip-image-variation.js";
export type {
  UnCLIPDrawingOptions,
  UnCLIPImageVariationOptions,
  UnCLIPOptions,
} from "./pipelines/unclip/unclip-options.js";
export type { UnCLIPDrawingParts, UnCLIPImageVariationParts, UnCLIPParts } from "./pipelines/unclip/unclip-parts.js";
export { UnCLIPDrawingPipeline } from "./pipelines/unclip/unclip-pipeline.js";
export type { UnCLIPStage, UnCLIPStep } from "./pipelines/unclip/unclip-stages.js";
export type { TextStates } from "./pipelines/unclip/unclip-text.js";
export { UnCLIPPipeline } from "./pipelines/unclip/unclip.js";
export {
  interpolateImages,
  interpolatePrompts,
  type InterpolationFrame,
  type InterpolationOptions,
  lerp,
  slerp,
  slerpNoise,
} from "./pipelines/interpolation.js";
export type { EncodePromptsOptions } from "./pipelines/stable-diffusion/text-conditioning.js";

/** `@tfjs-diffusion/core/nn`: the layers of the networks, and tools to trace and check them. */
export { activation, type ActivationName } from "./activations.js";
export { Attention, type AttentionOptions } from "./attention.js";
export { Conv2d, type Conv2dOptions } from "./conv2d.js";
export { Embedding } from "./embedding.js";
export { FeedForward, type FeedForwardActivation } from "./feed-forward.js";
export { GroupNorm } from "./group-norm.js";
export { LayerNorm } from "./layer-norm.js";
export { checkLayersFinite, type LayerListener, NonFiniteLayerError, traceLayers } from "./layer-trace.js";
export { Linear, type LinearOptions } from "./linear.js";
export { type DiskLayout, type Initializer, MissingWeightsError, namedParameters, Parameter } from "./parameter.js";
export {
  describeRecorded,
  forgetRecorded,
  type RecordedCall,
  type RecordedComputation,
  type RecordedProgram,
} from "./recorded.js";
export { Downsample2D, nearestResize, Upsample2D } from "./resample.js";
export { ResnetBlock2D, type ResnetBlockOptions } from "./resnet-block.js";
export {
  type SelfAttention2DOptions,
  SelfAttention2D,
  Transformer2DModel,
  type Transformer2DOptions,
} from "./spatial-attention.js";
export {
  type SinusoidOptions,
  TimestepEmbedding,
  type TimestepEmbeddingOptions,
  timestepSinusoid,
} from "./time-embedding.js";
export { BasicTransformerBlock, type TransformerBlockOptions, type TransformerContext } from "./transformer-block.js";

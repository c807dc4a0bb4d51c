/** `@tfjs-diffusion/core/metrics`: the quality of drawn pictures, one by one and as a set. */
export { clipScore } from "./clip-score.js";
export type { FeatureRows } from "./feature-rows.js";
export { frechetDistance } from "./frechet-distance.js";
export { kernelDistance } from "./kernel-distance.js";
export { peakSignalToNoise, type SimilarityOptions, structuralSimilarity } from "./picture-similarity.js";
export { type PrecisionRecall, precisionRecall } from "./precision-recall.js";

// What the wasm backend is completed with: AssemblyScript (TypeScript's own dialect for WebAssembly),
// compiled by scripts/build-simd.mjs. It runs in place on the memory of the TensorFlow.js backend, so every
// argument is an address (bytes) or a size (elements), and it allocates nothing: scratch memory is an argument.
export { geglu, gegluGradient, gelu, geluGradient, silu, siluGradient } from "./activations";
export { add } from "./add";
export { attention, attentionGradient, attentionGradientScratch, attentionScratch } from "./attention";
export { batchMatMul, batchMatMulScratch, transposedMatMul, transposedMatMulScratch } from "./mat-mul";
export { conv2d, conv2dScratch } from "./conv2d";
export { conv2dFilterGradient, conv2dFilterGradientScratch } from "./conv2d-filter-gradient";
export { copyRows } from "./copy";
export { erf } from "./erf";
export { groupNorm, groupNormGradient, groupNormScratch } from "./group-norm";
export { layerNorm, layerNormGradient, layerNormScratch } from "./layer-norm";
export { adamW, movingAverage } from "./optimizer";
export { softmax, sumOver } from "./reduce";

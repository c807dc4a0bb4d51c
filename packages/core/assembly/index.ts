// What the wasm backend is completed with: AssemblyScript (TypeScript's own dialect for WebAssembly),
// compiled by scripts/build-simd.mjs. It runs in place on the memory of the TensorFlow.js backend, so every
// argument is an address (bytes) or a size (elements), and it allocates nothing: scratch memory is an argument.
export { batchMatMul, batchMatMulScratch, transposedMatMul, transposedMatMulScratch } from "./mat-mul";
export { conv2d, conv2dScratch } from "./conv2d";
export { copyRows } from "./copy";
export { erf } from "./erf";
export { softmax, sumOver } from "./reduce";
export { conv2dFilterGradient, conv2dFilterGradientScratch } from "./conv2d-filter-gradient";

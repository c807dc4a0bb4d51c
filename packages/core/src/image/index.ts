/** `@tfjs-diffusion/core/image`: PNG files, sheets of pictures, resizing, and what CLIP's vision tower is shown. */
export { CLIPImageProcessor, type CLIPImageProcessorConfig } from "./clip-image-processor.js";
export { type GridOptions, imageGrid } from "./grid.js";
export { decodePng, encodePng, ImageError, type PngOptions, pngTexts } from "./png.js";
export { resizeBicubic, type ResizeOptions } from "./resize-bicubic.js";
export { toUnit } from "./to-unit.js";

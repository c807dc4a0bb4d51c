/** `@tfjs-diffusion/core/image`: PNG files, sheets of pictures, resizing, and what CLIP's vision tower is shown. */
export { CLIPImageProcessor, type CLIPImageProcessorConfig } from "./clip-image-processor.js";
export { type GridOptions, imageGrid } from "./grid.js";
export { decodeImage, decodeMask } from "./decode-image.js";
export { ImageError } from "./image-error.js";
export type { PictureLimits } from "./picture-limits.js";
export { decodePng } from "./png/decode-png.js";
export { encodePng, type PngOptions } from "./png/encode-png.js";
export { pngTexts } from "./png/png-texts.js";
export { resizeBicubic, type ResizeOptions } from "./resize-bicubic.js";
export { toUnit } from "./to-unit.js";

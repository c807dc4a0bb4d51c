/** `@tfjs-diffusion/core/image`: picture files, sheets of pictures, resizing, and the input of CLIP's vision tower. */
export { CLIPImageProcessor, type CLIPImageProcessorConfig } from "./clip-image-processor.js";
export { type GridOptions, imageGrid } from "./grid.js";
export { decodeImage, decodeMask, decodeOpacity, pictureSize } from "./decode-image.js";
export { ImageError } from "./image-error.js";
export type { PictureLimits } from "./picture-limits.js";
export { decodePng } from "./png/decode-png.js";
export { encodePng, type PngOptions } from "./png/encode-png.js";
export { pngTexts } from "./png/png-texts.js";
export { resizeBicubic, type ResizeOptions } from "./resize-bicubic.js";
export { toUnit } from "./to-unit.js";

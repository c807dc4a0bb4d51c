import { drawWording } from "../faces/caption.js";
import { type FaceKind, PORTRAIT_ATTRIBUTE_NAMES, samplePortrait } from "../faces/index.js";
import { PORTRAIT_SIZE, renderPortrait, renderVariants } from "./render.js";

/** 32 x 32 pixels with shading, outlines and patterned backgrounds; twelve attributes. */
export const PORTRAITS: FaceKind = {
  size: PORTRAIT_SIZE,
  attributes: PORTRAIT_ATTRIBUTE_NAMES,
  sample: samplePortrait,
  render: renderPortrait,
  wording: drawWording,
};

export { PORTRAIT_SIZE, renderPortrait, renderVariants };

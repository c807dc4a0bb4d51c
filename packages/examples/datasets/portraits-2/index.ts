import { type FaceKind, PORTRAIT_ATTRIBUTE_NAMES } from "../faces/index.js";
import { PORTRAIT_SIZE, renderPortrait } from "../portraits/index.js";
import { drawWording } from "./caption.js";
import { sampleBalanced } from "./sample.js";

/** The portraits with captions as people type them, and with balanced colours of hair. */
export const PORTRAITS_2: FaceKind = {
  size: PORTRAIT_SIZE,
  attributes: PORTRAIT_ATTRIBUTE_NAMES,
  sample: sampleBalanced,
  render: renderPortrait,
  wording: drawWording,
};

export { caption, type CaptionStyle, drawWording } from "./caption.js";
export { sampleBalanced } from "./sample.js";
export { captionWords } from "./words.js";

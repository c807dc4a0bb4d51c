export {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  HIDDEN_BY_HAT,
  InvalidFaceError,
  requireFace,
  visible,
  type Attribute,
  type Face,
} from "./attributes.js";
export { faceBatch, faceExample, type FaceBatch, type Split } from "./batch.js";
export { caption, captionWith, type Caption, type CaptionStyle, type Wording } from "./caption.js";
export { FACE_SIZE, renderFace } from "./render.js";
export {
  heldOutPairs,
  isHeldOut,
  redrawAttributes,
  sampleFace,
  sampleHeldOutFace,
  sampleTrainFace,
  swapOneAttribute,
} from "./sample.js";
export { captionWords, CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, vocabulary, type Vocabulary } from "./vocabulary.js";

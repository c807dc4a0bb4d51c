export { allBut, askFor, type Asked, attributesAsked, isAsAsked } from "./asked.js";
export {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  attributesOf,
  HIDDEN_BY_HAT,
  InvalidFaceError,
  PORTRAIT_ATTRIBUTE_NAMES,
  requireFace,
  visible,
  type Attribute,
  type Face,
} from "./attributes.js";
export { faceBatch, faceExample, type ExampleOptions, type FaceBatch, type Split } from "./batch.js";
export { caption, captionWith, type Caption, type CaptionStyle, type Wording } from "./caption.js";
export { type Description, type FaceKind, FACES } from "./kind.js";
export { FACE_SIZE, renderFace } from "./render.js";
export {
  heldOutPairs,
  isHeldOut,
  redrawAttributes,
  sampleFace,
  sampleHeldOutFace,
  samplePortrait,
  sampleTrainFace,
  swapOneAttribute,
  type FaceSampler,
} from "./sample.js";
export { captionWords, CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, vocabulary, type Vocabulary } from "./vocabulary.js";

export * from "./attributes.js";
export * from "./batch.js";
export { caption, captionWith, type Caption, type CaptionStyle, type Wording } from "./caption.js";
export { FACE_SIZE, renderFace } from "./render.js";
export { heldOutPairs, isHeldOut, sampleFace, sampleHeldOutFace, sampleTrainFace, swapOneAttribute } from "./sample.js";
export { captionWords, CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, vocabulary, type Vocabulary } from "./vocabulary.js";

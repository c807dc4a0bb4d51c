import type { FixedParts } from "../folder.js";
import { fixedParts as firstParts } from "../portraits/folder.js";
import { portrait2Vocabulary } from "./settings.js";

/** The files of the Stable Diffusion folder that are not trained: those of the first model, but for the vocabulary. */
export const fixedParts = (): FixedParts => ({ ...firstParts(), vocabulary: portrait2Vocabulary() });

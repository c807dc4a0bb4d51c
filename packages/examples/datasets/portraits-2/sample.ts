import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTES, type Face } from "../faces/attributes.js";
import { pick, samplePortrait } from "../faces/sample.js";

/**
 * Draws a portrait as {@link samplePortrait} does, but for the colour of the hair: a face that a split does not take is
 * drawn again with the same one. Otherwise the colours of held-out pairs would be rarer in training than brown, which
 * is in none.
 *
 * @param rejected the face that the split did not take
 */
export function sampleBalanced(random: RandomNumbers, rejected?: Face): Face {
  const hairColor = rejected?.hairColor ?? pick(ATTRIBUTES.hairColor, random);
  return { ...samplePortrait(random), hairColor };
}

import type { Attribute, Face } from "../faces/attributes.js";
import { PATTERN_WORDS } from "../faces/portrait-words.js";
import * as faces from "../faces/words.js";

/** The words for each value of each attribute, the usual one first. */
export const VALUE_WORDS: { readonly [A in Attribute]: Record<NonNullable<Face[A]>, readonly string[]> } = {
  background: faces.BACKGROUND_WORDS,
  pattern: { ...PATTERN_WORDS, plain: ["plain", "simple", "solid"], dotted: ["dotted", "spotted", "polka dot"] },
  skin: { light: ["light", "pale", "fair"], tan: ["tan", "tanned", "olive"], dark: ["dark"] },
  hair: { ...faces.HAIR_WORDS, short: ["short", "cropped"], pigtails: ["pigtails", "braids", "bunches"] },
  hairColor: {
    ...faces.HAIR_COLOR_WORDS,
    blonde: ["blonde", "blond", "yellow", "golden"],
    ginger: ["ginger", "orange", "red"],
  },
  hat: {
    ...faces.HAT_WORDS,
    beanie: ["beanie", "woolly hat", "knit hat"],
    fedora: ["fedora", "brimmed hat", "trilby"],
  },
  hatColor: faces.HAT_COLOR_WORDS,
  eyewear: {
    none: ["glasses"],
    glasses: ["glasses", "round glasses", "spectacles", "eyeglasses"],
    sunglasses: ["sunglasses", "dark glasses", "shades"],
  },
  beard: { no: ["beard"], yes: ["beard"] },
  mouth: {
    smiling: ["smiling", "happy", "cheerful", "grinning"],
    frowning: ["frowning", "sad", "unhappy", "upset"],
    surprised: ["surprised", "shocked", "amazed"],
  },
  shirt: { ...faces.SHIRT_WORDS, striped: ["striped", "stripy"], checkered: ["checkered", "checked", "plaid"] },
  shirtColor: faces.SHIRT_COLOR_WORDS,
};

export const MOUTH_NOUNS: Record<Face["mouth"], readonly string[]> = {
  smiling: ["smile", "grin"],
  frowning: ["frown"],
  surprised: ["open mouth", "surprised look"],
};

export const BACKGROUND_NOUNS = [...faces.BACKGROUND_NOUNS, "wallpaper"];
export const SHIRT_NOUNS = [...faces.SHIRT_NOUNS, "jumper", "t-shirt"];

/** Nouns for anybody, for men and for women; a face with a beard is no woman, boy or girl. */
export const PERSON_NOUNS = ["person", "face", "portrait", "character", "human", "figure"];
export const MAN_NOUNS = ["man", "guy", "gentleman", "boy"];
export const BEARDED_NOUNS = ["man", "guy", "gentleman"];
export const WOMAN_NOUNS = ["woman", "lady", "girl"];

/** What a caption can begin with. */
export const OPENINGS = ["a portrait of", "a picture of", "picture of", "a drawing of", "pixel art of", "portrait of"];

/** Words of the sentences themselves. */
const GLUE =
  "a an and or no with without wearing wears has is who in on of front against , - " +
  "hair haired skin skinned beard bearded beardless clean shaven hat hatless bald head";

/** Every word that a caption can hold, sorted. */
export function captionWords(): string[] {
  const texts = [
    ...Object.values(VALUE_WORDS).flatMap((table) => Object.values<readonly string[]>(table).flat()),
    ...Object.values(MOUTH_NOUNS).flat(),
    ...[BACKGROUND_NOUNS, SHIRT_NOUNS, PERSON_NOUNS, MAN_NOUNS, WOMAN_NOUNS, OPENINGS, [GLUE]].flat(),
  ];
  // The tokenizer splits words at hyphens.
  return [...new Set(texts.flatMap((text) => text.replaceAll("-", " - ").split(" ")))].filter(Boolean).sort();
}

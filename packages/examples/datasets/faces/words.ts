import type { Face } from "./attributes.js";

type Words<A extends Exclude<keyof Face, "pattern">> = Record<Face[A], readonly string[]>;

/** Words for each value, the usual one first. Captions use the first six times in ten. */
export const BACKGROUND_WORDS: Words<"background"> = {
  white: ["white"],
  black: ["black"],
  blue: ["blue"],
  green: ["green"],
  yellow: ["yellow"],
  pink: ["pink"],
  purple: ["purple", "violet"],
  orange: ["orange"],
};
export const BACKGROUND_NOUNS = ["background", "backdrop", "wall"];

export const SKIN_WORDS: Words<"skin"> = { light: ["light", "pale", "fair"], tan: ["tan", "tanned"], dark: ["dark"] };

export const HAIR_WORDS: Words<"hair"> = {
  bald: ["bald"],
  short: ["short"],
  spiky: ["spiky", "curly", "messy"],
  mohawk: ["mohawk"],
  long: ["long"],
  pigtails: ["pigtails", "braids"],
};
export const HAIR_COLOR_WORDS: Words<"hairColor"> = {
  black: ["black"],
  brown: ["brown"],
  blonde: ["blonde", "blond", "yellow"],
  ginger: ["ginger", "orange", "red"],
  blue: ["blue"],
  green: ["green"],
  pink: ["pink"],
};

export const HAT_WORDS: Words<"hat"> = {
  none: ["hat"],
  beanie: ["beanie", "woolly hat"],
  cap: ["cap", "baseball cap"],
  fedora: ["fedora", "brimmed hat"],
};
export const HAT_COLOR_WORDS: Words<"hatColor"> = {
  red: ["red"],
  blue: ["blue"],
  green: ["green"],
  purple: ["purple", "violet"],
  white: ["white"],
  black: ["black"],
};

export const EYEWEAR_WORDS: Words<"eyewear"> = {
  none: ["glasses"],
  glasses: ["glasses", "round glasses", "spectacles"],
  sunglasses: ["sunglasses", "dark glasses", "shades"],
};

export const MOUTH_ADJECTIVES: Words<"mouth"> = {
  smiling: ["smiling", "happy"],
  frowning: ["frowning", "sad", "unhappy"],
  surprised: ["surprised", "shocked"],
};
export const MOUTH_THINGS: Record<Face["mouth"], string> = {
  smiling: "smile",
  frowning: "frown",
  surprised: "open mouth",
};

export const SHIRT_WORDS: Words<"shirt"> = {
  plain: ["plain"],
  striped: ["striped"],
  checkered: ["checkered", "checked"],
};
export const SHIRT_COLOR_WORDS: Words<"shirtColor"> = {
  red: ["red"],
  blue: ["blue"],
  green: ["green"],
  yellow: ["yellow"],
  white: ["white"],
  black: ["black"],
  purple: ["purple", "violet"],
  orange: ["orange"],
};
export const SHIRT_NOUNS = ["shirt", "sweater", "top"];

export const PERSON_NOUNS = ["face", "person", "man", "woman", "portrait"];

/** Words of the sentences themselves. */
export const GLUE =
  "a an and or no with without wearing on in front of against , hair skin beard bearded clean shaven".split(" ");

import { type Attribute, type Face, visible } from "../faces/attributes.js";
import { allBut, askFor, type Asked } from "../faces/asked.js";
import { BACKGROUND_NOUNS, MOUTH_NOUNS, SHIRT_NOUNS, VALUE_WORDS } from "./words.js";
import { spaced } from "../faces/grammar.js";

/** Random choices by name, numbers in [0, 1): the same name gives the same number, for every face. */
export type Dice = (name: string) => number;

/** Attributes that one phrase speaks of together, the one that names it first. */
export type Topic = readonly [Attribute, ...Attribute[]];

export const TOPICS: readonly Topic[] = [
  ["hair", "hairColor"],
  ["hat", "hatColor"],
  ["eyewear"],
  ["beard"],
  ["mouth"],
  ["skin"],
  ["shirt", "shirtColor"],
  ["background", "pattern"],
];

/** A topic in words. */
export interface Phrase {
  readonly topic: Attribute;
  readonly text: string;
  /** "adjective" stands before the person ("smiling"), "thing" is had or worn, "place" is where the person is. */
  readonly role: "adjective" | "thing" | "place";
  /** Takes "a". */
  readonly countable?: boolean;
  /** Names something that the face does not have. */
  readonly lacking?: boolean;
  readonly asked: Asked;
}

/** How a phrase is worded. */
interface Wording {
  readonly dice: Dice;
  /** Adjectives are possible: they need a person to stand before. */
  readonly person: boolean;
  /** How often "hat" stands for any hat and "hair" for any hair, 0 to 1. */
  readonly vague: number;
}

/**
 * What a phrase says of the `mentioned` attributes of its topic. Undefined if there is nothing to say: the colour of no
 * hair.
 */
export function phraseOf(topic: Topic, face: Face, mentioned: ReadonlySet<Attribute>, wording: Wording) {
  const seen = visible(face);
  const attributes = shownBy(topic, face).filter((name) => mentioned.has(name) && name in seen);
  // The colour of a beard is mentioned only together with the beard.
  if (!attributes.some((name) => topic.includes(name))) return undefined;
  const words = (name: Attribute) => (attributes.includes(name) ? word(name, face, wording.dice) : "");
  const phrase = PHRASES[topic[0]]!(face, words, wording);
  return phrase && { topic: topic[0], asked: askFor(face, attributes), ...phrase };
}

/** The hair colour of a bald head is its beard's. */
function shownBy(topic: Topic, face: Face): readonly Attribute[] {
  if (face.hair !== "bald") return topic;
  return topic[0] === "beard" ? ["beard", "hairColor"] : topic.filter((name) => name !== "hairColor");
}

type PhraseMaker = (
  face: Face,
  words: (name: Attribute) => string,
  wording: Wording,
) => (Omit<Phrase, "topic" | "asked"> & { asked?: Asked }) | undefined;

const PHRASES: Partial<Record<Attribute, PhraseMaker>> = {
  skin: (_face, words, { dice, person }) => {
    const skin = words("skin");
    if (person && dice("skin form") < 0.4) return { text: `${skin}-skinned`, role: "adjective" };
    return { text: `${skin} skin`, role: "thing" };
  },

  mouth: (face, words, { dice, person }) => {
    if (dice("mouth form") < (person ? 0.75 : 0.5)) return { text: words("mouth"), role: "adjective" };
    return { text: usually(MOUTH_NOUNS[face.mouth], dice("mouth noun")), role: "thing", countable: true };
  },

  beard: (face, words, { dice, person }) => {
    const isAdjective = person && dice("beard form") < 0.35;
    const color = words("hairColor");
    if (face.beard === "yes") {
      return isAdjective && !color
        ? { text: "bearded", role: "adjective" }
        : { text: colored(color, "beard", dice("beard order")), role: "thing", countable: true };
    }
    return isAdjective
      ? { text: dice("no beard") < 0.6 ? "clean shaven" : "beardless", role: "adjective" }
      : { text: "beard", role: "thing", countable: true, lacking: true };
  },

  hair: (face, words, wording) => {
    return face.hair === "bald" ? bald(wording) : hairy(face, words("hair"), words("hairColor"), wording);
  },

  hat: (face, words, { dice, person, vague }) => {
    if (face.hat === "none") {
      return person && dice("hatless") < 0.15
        ? { text: "hatless", role: "adjective" }
        : { text: "hat", role: "thing", countable: true, lacking: true };
    }
    const [kind, color] = [words("hat"), words("hatColor")];
    const isVague = kind === "" || dice("vague hat") < vague;
    const noun = isVague ? "hat" : kind;
    const asked = {
      hat: isVague ? allBut("hat", "none") : [face.hat],
      ...(color ? { hatColor: [face.hatColor] } : {}),
    };
    return { text: colored(color, noun, dice("hat order")), role: "thing", countable: true, asked };
  },

  eyewear: (face, words) => ({ text: words("eyewear"), role: "thing", lacking: face.eyewear === "none" }),

  shirt: (_face, words, { dice }) => {
    const noun = usually(SHIRT_NOUNS, dice("shirt noun"));
    return {
      text: patterned(words("shirt"), words("shirtColor"), noun, dice("shirt")),
      role: "thing",
      countable: true,
    };
  },

  background: (_face, words, { dice }) => {
    const noun = usually(BACKGROUND_NOUNS, dice("background noun"));
    const text = patterned(words("pattern"), words("background"), noun, dice("background order"));
    return { text, role: "place", countable: true };
  },
};

function bald({ dice, person }: Wording): ReturnType<PhraseMaker> {
  const form = dice("bald");
  if (form < 0.15) return { text: "hair", role: "thing", lacking: true };
  if (form < 0.3) return { text: "bald head", role: "thing", countable: true };
  return { text: "bald", role: person ? "adjective" : "thing" };
}

function hairy(face: Face, style: string, color: string, { dice, person, vague }: Wording): ReturnType<PhraseMaker> {
  const form = dice("hair form");
  if (style && !color && dice("vague hair") < vague / 3) {
    return { text: "hair", role: "thing", asked: { hair: allBut("hair", "bald") } };
  }
  if (style && face.hair === "pigtails") return { text: colored(color, style, form), role: "thing" };
  if (style && face.hair === "mohawk") return { text: colored(color, style, form), role: "thing", countable: true };
  if (person && form > 0.8 && !(style && color)) return { text: `${style || color}-haired`, role: "adjective" };
  return { text: patterned(style, color, "hair", form), role: "thing" };
}

/** The word for an attribute's value. */
function word(name: Attribute, face: Face, dice: Dice): string {
  const table = VALUE_WORDS[name] as Record<string, readonly string[]>;
  return usually(table[face[name]!]!, dice(`${name} word`));
}

/** "red hat", seldom "hat in red". */
function colored(color: string, noun: string, order: number): string {
  return !color || order < 0.85 ? spaced(color, noun) : `${noun} in ${color}`;
}

/** "striped red shirt" or "red striped shirt", seldom "striped shirt in red". */
function patterned(pattern: string, color: string, noun: string, order: number): string {
  if (order < 0.55) return spaced(pattern, color, noun);
  if (order < 0.85) return spaced(color, pattern, noun);
  return colored(color, spaced(pattern, noun), order);
}

/** The first of the words half of the time, otherwise one of the rest; `u` is uniform in [0, 1). */
export function usually(options: readonly string[], u: number): string {
  if (options.length === 1 || u < 0.5) return options[0]!;
  return options[1 + Math.floor((u - 0.5) * 2 * (options.length - 1))]!;
}

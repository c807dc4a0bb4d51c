import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { attributesOf, visible, type Attribute, type Face } from "./attributes.js";
import { pick } from "./sample.js";
import { PATTERN_WORDS } from "./portrait-words.js";
import * as words from "./words.js";
import { spaced, withArticle } from "./grammar.js";

/**
 * How much a caption says. "full": everything that can be seen. "short": one to three topics, as people type. "mixed":
 * the training mixture, with 35 % full, 30 % short, and the rest a random selection of topics.
 */
export type CaptionStyle = "full" | "short" | "mixed";

/** The wording of a caption, independent of the face: a face and its hard negative can have the same wording. */
export interface Wording {
  /** The attributes to mention; {@link captionWith} leaves out those that the face does not show. */
  readonly mention: ReadonlySet<Attribute>;
  /** For each attribute, a number in [0, 1) that picks the word for its value, … */
  readonly synonym: Readonly<Record<Attribute, number>>;
  /** … the noun it belongs to ("shirt" or "sweater"), … */
  readonly noun: Readonly<Record<Attribute, number>>;
  /** … its grammatical form ("a smiling man" or "a man with a smile"), … */
  readonly form: Readonly<Record<Attribute, number>>;
  /** … and its position among the others. */
  readonly order: Readonly<Record<Attribute, number>>;
  readonly frame: "sentence" | "background first" | "tags";
  /** "with glasses, wearing a hat" rather than "with glasses and a hat". */
  readonly wearing: boolean;
  /** "without a hat" rather than "with no hat". */
  readonly without: boolean;
  readonly person: string;
}

export interface Caption {
  readonly text: string;
  /** The attributes whose values the text gives, in the order of ATTRIBUTES. */
  readonly mentioned: Attribute[];
  readonly wording: Wording;
}

/** Attributes that one phrase describes together, the noun first. */
type Topic = readonly [Attribute, ...Attribute[]];

const TOPICS: readonly Topic[] = [
  ["hair", "hairColor"],
  ["hat", "hatColor"],
  ["eyewear"],
  ["beard"],
  ["mouth"],
  ["skin"],
  ["shirt", "shirtColor"],
  ["background"],
];

/** A portrait's background has a pattern too. */
const PORTRAIT_TOPICS: readonly Topic[] = [...TOPICS.slice(0, -1), ["background", "pattern"]];

const topicsOf = (face: Face) => (face.pattern === undefined ? TOPICS : PORTRAIT_TOPICS);

/** Describes a face in words; equal faces and random numbers give equal captions. */
export function caption(face: Face, random: RandomNumbers, style: CaptionStyle): Caption {
  const wording: Wording = {
    mention: drawMention(face, random, style),
    synonym: drawEach(face, random),
    noun: drawEach(face, random),
    form: drawEach(face, random),
    order: drawEach(face, random),
    frame: pick(["sentence", "sentence", "sentence", "sentence", "background first", "tags"] as const, random),
    wearing: random.uniform() < 0.3,
    without: random.uniform() < 0.3,
    person: usually(words.PERSON_NOUNS, random.uniform()),
  };
  return { ...captionWith(face, wording), wording };
}

/** Draws a wording for a face; it puts other faces into the same words. */
export function drawWording(face: Face, random: RandomNumbers, style: CaptionStyle) {
  const { wording } = caption(face, random, style);
  return (other: Face) => captionWith(other, wording);
}

function drawEach(face: Face, random: RandomNumbers): Record<Attribute, number> {
  return Object.fromEntries(attributesOf(face).map((name) => [name, random.uniform()])) as Record<Attribute, number>;
}

/** Draws the attributes to mention, again if none of them can be seen (such as the hair colour of a bald head). */
function drawMention(face: Face, random: RandomNumbers, style: CaptionStyle): ReadonlySet<Attribute> {
  for (;;) {
    const mention = new Set(whatToMention(face, random, style));
    if (attributesOf(face).some((name) => isMentioned(name, face, mention))) return mention;
  }
}

function whatToMention(face: Face, random: RandomNumbers, style: CaptionStyle): Attribute[] {
  const dice = style === "mixed" ? random.uniform() : 0;
  if (style === "full" || dice >= 0.65) return [...attributesOf(face)];
  const isAbsent = ([first]: Topic) => ["none", "no"].includes(face[first] ?? "");
  if (style === "short" || dice < 0.3) {
    const topics = [...topicsOf(face)];
    const count = 1 + random.integer(3);
    const chosen: Topic[] = [];
    while (chosen.length < count) {
      const [topic] = topics.splice(random.integer(topics.length), 1);
      if (!isAbsent(topic!) || random.uniform() < 0.3) chosen.push(topic!);
    }
    return chosen.flatMap((topic) => thin(topic, 0.2, random));
  }
  return topicsOf(face)
    .filter((topic) => random.uniform() < (isAbsent(topic) ? 0.4 : 0.75))
    .flatMap((topic) => thin(topic, 0.15, random));
}

/** Of a topic with two attributes, leaves out each with probability `share` (never both). */
function thin(topic: Topic, share: number, random: RandomNumbers): Attribute[] {
  const dice = random.uniform();
  return topic.filter((_, i) => topic.length === 1 || dice < i * share || dice >= (i + 1) * share);
}

/**
 * Describes a face with a given wording, such as that of the face whose hard negative it is.
 */
export function captionWith(face: Face, wording: Wording): { text: string; mentioned: Attribute[] } {
  const mentioned = attributesOf(face).filter((name) => isMentioned(name, face, wording.mention));
  const phrases = topicsOf(face)
    .filter((topic) => isSpokenOf(topic, face, mentioned))
    .sort(([a], [b]) => wording.order[a] - wording.order[b])
    .map(([topic]) => ({ topic, ...describe(topic, face, new Set(mentioned), wording) }));
  if (wording.frame === "tags" && phrases.length > 0) {
    return { text: phrases.map(({ text, lacking }) => spaced(lacking ? "no" : "", text)).join(", "), mentioned };
  }

  const adjectives = phrases.filter(({ adjective }) => adjective).map(({ text }) => text);
  const things = phrases.filter(({ topic, adjective }) => !adjective && topic !== "background");
  const clauses = [withArticle(spaced(...adjectives, wording.person)), ...sayThings(things, wording)];
  const background = phrases.find(({ topic }) => topic === "background");
  if (!background) return { text: clauses.join(" "), mentioned };
  const place = `${usually(["on", "in front of", "against"], wording.form.background)} ${withArticle(background.text)}`;
  const text = wording.frame === "background first" ? `${place}, ${clauses.join(" ")}` : spaced(...clauses, place);
  return { text, mentioned };
}

/** "with a beard and a red hat", "wearing a red hat", "with no hat", "without a hat or glasses". */
function sayThings(things: readonly (Phrase & { topic: Attribute })[], { wearing, without }: Wording): string[] {
  const isWorn = ({ topic, lacking }: (typeof things)[number]) =>
    wearing && !lacking && ["hat", "eyewear", "shirt"].includes(topic);
  const isWithout = ({ lacking }: Phrase) => without && lacking;
  const lists: [string, string, Phrase[]][] = [
    ["with", "and", things.filter((thing) => !isWorn(thing) && !isWithout(thing))],
    ["wearing", "and", things.filter(isWorn)],
    ["without", "or", things.filter(isWithout)],
  ];
  return lists.flatMap(([preposition, conjunction, list]) => {
    if (list.length === 0) return [];
    const parts = list.map(({ text, countable, lacking }) => {
      if (lacking && preposition === "with") return `no ${text}`;
      return countable ? withArticle(text) : text;
    });
    const [last] = parts.splice(-1);
    return [spaced(preposition, parts.join(", "), parts.length > 0 ? conjunction : "", last!)];
  });
}

/** The hair colour of a bald head can only be mentioned as that of its beard. */
function isMentioned(name: Attribute, face: Face, mention: ReadonlySet<Attribute>): boolean {
  if (!mention.has(name) || !(name in visible(face))) return false;
  return name !== "hairColor" || face.hair !== "bald" || mention.has("beard");
}

/** Whether a topic contains a mentioned attribute. */
const isSpokenOf = (topic: Topic, face: Face, mentioned: readonly Attribute[]) =>
  topic.some((name) => mentioned.includes(name) && !(name === "hairColor" && face.hair === "bald"));

interface Phrase {
  readonly text: string;
  /** Precedes the person ("smiling"); otherwise it follows "with" ("long hair"). */
  readonly adjective?: boolean;
  /** Takes "a" in a sentence. */
  readonly countable?: boolean;
  /** Names something that the face does not have. */
  readonly lacking?: boolean;
}

function describe(topic: Attribute, face: Face, mentioned: ReadonlySet<Attribute>, wording: Wording): Phrase {
  const say = <A extends Attribute>(name: A, table: Record<NonNullable<Face[A]>, readonly string[]>) =>
    mentioned.has(name) ? usually(table[face[name]!], wording.synonym[name]) : "";
  const form = wording.form[topic];
  switch (topic) {
    case "background": {
      const color = say("background", words.BACKGROUND_WORDS);
      const pattern = say("pattern", PATTERN_WORDS);
      const noun = usually(words.BACKGROUND_NOUNS, wording.noun.background);
      return { text: form < 0.8 ? spaced(pattern, color, noun) : spaced(color, pattern, noun) };
    }
    case "skin":
      return form < 0.6 && wording.frame !== "tags"
        ? { text: say("skin", words.SKIN_WORDS), adjective: true }
        : { text: `${say("skin", words.SKIN_WORDS)} skin` };
    case "mouth":
      return form < 0.8
        ? { text: say("mouth", words.MOUTH_ADJECTIVES), adjective: true }
        : { text: words.MOUTH_THINGS[face.mouth], countable: true };
    case "hair": {
      const style = say("hair", words.HAIR_WORDS);
      const color = face.hair === "bald" ? "" : say("hairColor", words.HAIR_COLOR_WORDS);
      if (style === "bald") return form < 0.8 ? { text: "bald", adjective: true } : { text: "hair", lacking: true };
      if (face.hair === "pigtails" && style) return { text: spaced(color, style) };
      if (style === "mohawk" && form < 0.7) return { text: spaced(color, "mohawk"), countable: true };
      return { text: form < 0.85 ? spaced(style, color, "hair") : spaced(color, style, "hair") };
    }
    case "hat":
      if (face.hat === "none") return { text: "hat", countable: true, lacking: true };
      return {
        text: spaced(say("hatColor", words.HAT_COLOR_WORDS), say("hat", words.HAT_WORDS) || "hat"),
        countable: true,
      };
    case "eyewear":
      return { text: say("eyewear", words.EYEWEAR_WORDS), lacking: face.eyewear === "none" };
    case "beard": {
      if (face.beard === "no") {
        return form < 0.8
          ? { text: "beard", countable: true, lacking: true }
          : { text: "clean shaven", adjective: true };
      }
      const color = face.hair === "bald" ? say("hairColor", words.HAIR_COLOR_WORDS) : "";
      return form < 0.7 || color
        ? { text: spaced(color, "beard"), countable: true }
        : { text: "bearded", adjective: true };
    }
    default: {
      const pattern = say("shirt", words.SHIRT_WORDS);
      const color = say("shirtColor", words.SHIRT_COLOR_WORDS);
      const noun = usually(words.SHIRT_NOUNS, wording.noun.shirt);
      return { text: form < 0.8 ? spaced(pattern, color, noun) : spaced(color, pattern, noun), countable: true };
    }
  }
}

/** The first option with probability 0.6, otherwise one of the others; `u` is uniform in [0, 1). */
function usually(options: readonly string[], u: number): string {
  if (options.length === 1 || u < 0.6) return options[0]!;
  return options[1 + Math.floor(((u - 0.6) / 0.4) * (options.length - 1))]!;
}

import { keyedRandom, permutation, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import { type Attribute, type Face, PORTRAIT_ATTRIBUTE_NAMES } from "../faces/attributes.js";
import { type Asked, attributesAsked } from "../faces/asked.js";
import { spaced, withArticle } from "../faces/grammar.js";
import { type Dice, type Phrase, phraseOf, type Topic, TOPICS, usually } from "./phrases.js";
import * as words from "./words.js";

/**
 * How much a caption says. "full": all that can be seen. "short": one to three topics, as people type. "words": one or
 * two things in bare words, or the person alone. "colours": the colours of hat and hair, and up to two more topics.
 * "mixed": the training mixture of these and of captions in which each topic is mentioned or not.
 */
export type CaptionStyle = "full" | "short" | "words" | "colours" | "some" | "mixed";

export interface Caption {
  readonly text: string;
  /** What the text asks for. */
  readonly asked: Asked;
  /** The attributes for which it asks for one value. */
  readonly mentioned: Attribute[];
}

/** How faces are put into words: the same wording serves a face and one that differs from it a little. */
export type Wording = (face: Face) => Caption;

const MIXTURE = { full: 0.3, short: 0.22, words: 0.14, colours: 0.14, some: 0.2 } as const;

/** Draws a wording for a face; equal faces and random numbers give equal wordings. */
export function drawWording(face: Face, random: RandomNumbers, style: CaptionStyle): Wording {
  const kind = style === "mixed" ? drawStyle(random.uniform()) : style;
  const mention = drawMention(face, random, kind);
  const dice = namedDice(random.integer(2 ** 30));
  return (other) => captionOf(other, mention, kind, dice);
}

/** Describes a face in words; equal faces and random numbers give equal captions. */
export const caption = (face: Face, random: RandomNumbers, style: CaptionStyle): Caption =>
  drawWording(face, random, style)(face);

function drawStyle(u: number): Exclude<CaptionStyle, "mixed"> {
  let sum = 0;
  const found = Object.entries(MIXTURE).find(([, share]) => u < (sum += share));
  return (found?.[0] ?? "some") as keyof typeof MIXTURE;
}

function namedDice(seed: number): Dice {
  const thrown = new Map<string, number>();
  return (name) => {
    let u = thrown.get(name);
    if (u === undefined) thrown.set(name, (u = keyedRandom(seed, name).uniform()));
    return u;
  };
}

/** What to mention; empty for a caption that only names the person. */
function drawMention(face: Face, random: RandomNumbers, style: CaptionStyle): ReadonlySet<Attribute> {
  if (style === "full") return new Set(PORTRAIT_ATTRIBUTE_NAMES);
  const isAbsent = ([first]: Topic) => ["none", "no"].includes(face[first]!);
  const some = (count: number, among: readonly Topic[]) => {
    const order = [...permutation(among.length, random)].map((i) => among[i]!);
    return order.filter((topic) => !isAbsent(topic) || random.uniform() < 0.3).slice(0, count);
  };
  switch (style) {
    case "colours":
      return new Set([...TOPICS.slice(0, 2), ...some(random.integer(3), TOPICS.slice(2))].flat());
    case "words": {
      const count = [0, 1, 1, 1, 2, 2][random.integer(6)]!;
      return new Set(some(count, TOPICS).flatMap((topic) => thin(topic, 0.45, random)));
    }
    case "some": {
      const topics = TOPICS.filter((topic) => random.uniform() < (isAbsent(topic) ? 0.35 : 0.65));
      return new Set(topics.flatMap((topic) => thin(topic, 0.15, random)));
    }
    default:
      return new Set(some(1 + random.integer(3), TOPICS).flatMap((topic) => thin(topic, 0.25, random)));
  }
}

/** Of a topic with two attributes, leaves out each with probability `share` (never both). */
function thin(topic: Topic, share: number, random: RandomNumbers): Attribute[] {
  const dice = random.uniform();
  return topic.filter((_, i) => topic.length === 1 || dice < i * share || dice >= (i + 1) * share);
}

function captionOf(face: Face, mention: ReadonlySet<Attribute>, style: CaptionStyle, dice: Dice): Caption {
  const frame = pickFrame(style === "words" ? WORD_FRAMES : style === "full" ? LONG_FRAMES : FRAMES, dice);
  const named = new Set(mention);
  // "A bald man" asks for a bare head: over a bald head, a hat is never left out.
  if (face.hair === "bald" && face.hat !== "none" && named.has("hair")) named.add("hat");
  const person = personOf(face, dice);
  const hasPerson = !isPersonless(frame, dice) || named.size === 0;
  const phrases = TOPICS.flatMap((topic) => {
    const wording = { dice, person: hasPerson && frame !== "tags", vague: VAGUE[style] ?? 0 };
    return phraseOf(topic, face, named, wording) ?? [];
  }).sort((a, b) => dice(`${a.topic} place`) - dice(`${b.topic} place`));
  const text = phrases.length === 0 && !hasPerson ? person : ASSEMBLY[frame](phrases, hasPerson ? person : "", dice);
  const asked = Object.assign({}, ...phrases.map(({ asked }) => asked)) as Asked;
  return { text, asked, mentioned: attributesAsked(asked).filter((name) => asked[name]!.length === 1) };
}

/** A noun that suits the face: a beard goes with a man or anybody. */
function personOf(face: Face, dice: Dice): string {
  const anybody = usually(words.PERSON_NOUNS, dice("anybody"));
  const kind = dice("kind of person");
  if (kind < 0.36) return anybody;
  if (kind < 0.68) return usually(face.beard === "yes" ? words.BEARDED_NOUNS : words.MAN_NOUNS, dice("man"));
  return face.beard === "yes" ? anybody : usually(words.WOMAN_NOUNS, dice("woman"));
}

/** How often "hat" stands for any hat, and "hair" for any hair. */
const VAGUE: Partial<Record<CaptionStyle, number>> = { short: 0.4, words: 0.6, colours: 0.4, some: 0.2 };

type Frame = "sentence" | "clause" | "background first" | "things first" | "tags" | "bare";
const FRAMES: Record<Frame, number> = {
  sentence: 0.46,
  clause: 0.1,
  "background first": 0.08,
  "things first": 0.1,
  tags: 0.15,
  bare: 0.11,
};
/** In clauses, all that can be seen would take more words than the text towers read. */
const LONG_FRAMES = { ...FRAMES, clause: 0 };
const WORD_FRAMES = { sentence: 0.3, tags: 0.4, bare: 0.3 };

function pickFrame(shares: Partial<Record<Frame, number>>, dice: Dice): Frame {
  let sum = 0;
  const found = Object.entries(shares).find(([, share]) => dice("frame") < (sum += share));
  return (found?.[0] ?? "sentence") as Frame;
}

const isPersonless = (frame: Frame, dice: Dice) =>
  (frame === "tags" && dice("person") < 0.5) || (frame === "bare" && dice("person") < 0.4);

type Assembly = (phrases: readonly Phrase[], person: string, dice: Dice) => string;

/** How phrases and the person become a caption. */
const ASSEMBLY: Record<Frame, Assembly> = {
  /** "a smiling woman with long hair and glasses on a blue wall" */
  sentence: (phrases, person, dice) =>
    spaced(
      phrases.length < 5 ? opening(dice) : "",
      subject(phrases, person, dice),
      ...attached(phrases, dice),
      ...places(phrases, dice),
    ),

  /** "a man who is smiling, has a beard and wears a red hat" */
  clause: (phrases, person, dice) => {
    const verbs = phrases.filter(({ role }) => role !== "place").map((phrase) => predicate(phrase, dice));
    const who = verbs.length > 0 ? `who ${listed(verbs, "and")}` : "";
    return spaced(article(person, dice), who, ...places(phrases, dice));
  },

  /** "on a blue wall, a smiling woman with long hair" */
  "background first": (phrases, person, dice) => {
    const rest = spaced(subject(phrases, person, dice), ...attached(phrases, dice));
    const [place] = places(phrases, dice);
    return place ? `${place}, ${rest}` : rest;
  },

  /** "a red hat and glasses on a smiling woman" */
  "things first": (phrases, person, dice) => {
    const things = phrases.filter(({ role }) => role === "thing").map((phrase) => nounPhrase(phrase, dice));
    const on = things.length > 0 ? [listed(things, "and"), "on"] : [];
    return spaced(...on, subject(phrases, person, dice), ...places(phrases, dice));
  },

  /** "woman, long hair, no hat" */
  tags: (phrases, person, dice) => inserted(phrases.map(bare), person, dice).join(", "),

  /** "woman long hair no hat" */
  bare: (phrases, person, dice) => inserted(phrases.map(bare), person, dice).join(" "),
};

const opening = (dice: Dice) => (dice("opening") < 0.15 ? usually(words.OPENINGS, dice("which opening")) : "");

/** One caption in four leaves out articles. */
const article = (text: string, dice: Dice) => (dice("articles") < 0.75 ? withArticle(text) : text);

/** "a smiling man" or "a man, smiling". */
function subject(phrases: readonly Phrase[], person: string, dice: Dice): string {
  const adjectives = phrases.filter(({ role }) => role === "adjective");
  const after = adjectives.filter(({ topic }) => topic === "mouth" && dice("adjective after") < 0.2);
  const before = adjectives.filter((phrase) => !after.includes(phrase)).map(({ text }) => text);
  return spaced(article(spaced(...before, person), dice), ...after.map(({ text }) => text));
}

/** "with a beard and a red hat", "wearing a red hat", "in a red hat", "with no hat", "without a hat or glasses". */
function attached(phrases: readonly Phrase[], dice: Dice): string[] {
  const things = phrases.filter(({ role }) => role === "thing");
  const wearing = dice("wearing") < 0.35;
  const without = dice("without") < 0.4;
  const isWorn = ({ topic, lacking }: Phrase) => wearing && !lacking && ["hat", "eyewear", "shirt"].includes(topic);
  const isWithout = ({ lacking }: Phrase) => without && Boolean(lacking);
  const list = (preposition: string, conjunction: string, part: readonly Phrase[]) =>
    part.length === 0
      ? []
      : [
          `${preposition} ${listed(
            part.map((phrase) => nounPhrase(phrase, dice)),
            conjunction,
          )}`,
        ];
  const lacking = things.filter(isWithout);
  return [
    ...list(
      "with",
      "and",
      things.filter((thing) => !isWorn(thing) && !isWithout(thing)),
    ),
    ...list(dice("wearing or in") < 0.7 ? "wearing" : "in", "and", things.filter(isWorn)),
    ...list(
      "without",
      "or",
      lacking.map((phrase) => ({ ...phrase, lacking: false })),
    ),
  ];
}

function places(phrases: readonly Phrase[], dice: Dice): string[] {
  const preposition = usually(["on", "in front of", "against"], dice("preposition"));
  return phrases.filter(({ role }) => role === "place").map(({ text }) => `${preposition} ${article(text, dice)}`);
}

/** "is smiling", "has a beard", "wears a red hat", "has no hat". */
function predicate(phrase: Phrase, dice: Dice): string {
  if (phrase.role === "adjective") return `is ${phrase.text}`;
  const isWorn = !phrase.lacking && ["hat", "eyewear", "shirt"].includes(phrase.topic);
  return `${isWorn ? "wears" : "has"} ${nounPhrase(phrase, dice)}`;
}

function nounPhrase({ text, countable, lacking }: Phrase, dice: Dice): string {
  if (lacking) return `no ${text}`;
  return countable ? article(text, dice) : text;
}

const bare = ({ text, lacking }: Phrase) => spaced(lacking ? "no" : "", text);

/** The person somewhere among the parts, most often first. */
function inserted(parts: readonly string[], person: string, dice: Dice): string[] {
  if (!person) return [...parts];
  const u = dice("where the person is");
  const at = u < 0.5 ? 0 : Math.floor((u - 0.5) * 2 * (parts.length + 1));
  return [...parts.slice(0, at), person, ...parts.slice(at)];
}

function listed(parts: readonly string[], conjunction: string): string {
  if (parts.length === 1) return parts[0]!;
  return `${parts.slice(0, -1).join(", ")} ${conjunction} ${parts.at(-1)!}`;
}

import { keyedRandom, permutation, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  allBut,
  askFor,
  type Asked,
  type Attribute,
  type Face,
  heldOutPairs,
  samplePortrait,
  visible,
} from "../datasets/faces/index.js";

/**
 * A second grammar of prompts. No model is trained on it, so it measures whether a model understands what is asked
 * rather than how its own captions are built. It uses each value's usual word, which every portraits model knows.
 */
export interface Request {
  readonly text: string;
  readonly asked: Asked;
}

/** A topic in the forms that the templates need. */
interface Part {
  /** "a red cap", "long blue hair", "no beard" */
  readonly noun: string;
  /** "hat is a red cap", "hair is blue and long" */
  readonly statement: string;
  readonly attributes: readonly Attribute[];
}

function partsOf(face: Face): Part[] {
  const { hair, hairColor, hat, hatColor, skin, mouth, shirt, shirtColor, background, pattern } = face;
  const eyewear = face.eyewear === "none" ? "no glasses" : face.eyewear;
  const beard = face.beard === "yes" ? "a beard" : "no beard";
  return [
    hairPart(hair, hairColor),
    hat === "none"
      ? { noun: "no hat", statement: "no hat", attributes: ["hat"] }
      : {
          noun: `a ${hatColor} ${hat}`,
          statement: `hat is a ${hatColor} ${hat}`,
          attributes: ["hat", "hatColor"],
        },
    { noun: eyewear, statement: eyewear, attributes: ["eyewear"] },
    { noun: beard, statement: beard, attributes: ["beard"] },
    { noun: `${skin} skin`, statement: `skin is ${skin}`, attributes: ["skin"] },
    { noun: mouth, statement: `face is ${mouth}`, attributes: ["mouth"] },
    {
      noun: `a ${shirt} ${shirtColor} shirt`,
      statement: `shirt is ${shirtColor} and ${shirt}`,
      attributes: ["shirt", "shirtColor"],
    },
    {
      noun: `a ${pattern} ${background} background`,
      statement: `background is ${background} and ${pattern}`,
      attributes: ["background", "pattern"],
    },
  ];
}

function hairPart(style: Face["hair"], color: Face["hairColor"]): Part {
  if (style === "bald") return { noun: "bald", statement: "bald", attributes: ["hair"] };
  const attributes = ["hair", "hairColor"] as const;
  if (style === "mohawk") return { noun: `a ${color} mohawk`, statement: `hair is a ${color} mohawk`, attributes };
  if (style === "pigtails") return { noun: `${color} pigtails`, statement: `${color} pigtails`, attributes };
  return { noun: `${style} ${color} hair`, statement: `hair is ${color} and ${style}`, attributes };
}

type Template = (parts: readonly Part[], person: string) => string;

const nouns = (parts: readonly Part[], separator: string) => parts.map(({ noun }) => noun).join(separator);
const COMPACT: readonly Template[] = [
  (parts, person) => `${person} + ${nouns(parts, " + ")}`,
  (parts, person) => `${person}. ${nouns(parts, ". ")}.`,
  (parts, person) => `${nouns(parts, "; ")}; ${person}`,
  (parts, person) => `a ${person} (${nouns(parts, ", ")})`,
  (parts, person) => `${nouns(parts, " and ")} and a ${person}`,
  (parts, person) => `${person}: ${nouns(parts, " / ")}`,
];

/** Only for short prompts: these take more words. */
const WORDY: readonly Template[] = [
  (parts, person) => `please draw a ${person}, ${nouns(parts, ", ")}`,
  (parts, person) => `the ${person}: ${parts.map(({ statement }) => statement).join(", ")}`,
];

/** The most topics of a wordy prompt: all prompts must fit into the text towers of every model. */
const WORDY_TOPICS = 3;

/** Asks for the parts of a face in the words of one of the templates, in any order. */
function requestFor(face: Face, parts: readonly Part[], random: RandomNumbers): Request {
  const order = [...permutation(parts.length, random)].map((i) => parts[i]!);
  const people = face.beard === "yes" ? ["man", "person"] : ["man", "person", "woman"];
  const person = people[random.integer(people.length)]!;
  const templates = order.length <= WORDY_TOPICS ? [...COMPACT, ...WORDY] : COMPACT;
  const attributes = order.flatMap((part) => part.attributes);
  const asked = askFor(face, attributes);
  return {
    text: templates[random.integer(templates.length)]!(order, person),
    asked: person === "woman" ? { ...asked, beard: ["no"] } : asked,
  };
}

/** Draws faces until one is as wanted. */
function sampleFaceThat(accept: (face: Face) => boolean, random: RandomNumbers): Face {
  for (;;) {
    const face = samplePortrait(random);
    if (accept(face)) return face;
  }
}

const SEED = 501;

function requests(
  name: string,
  count: number,
  accept: (face: Face) => boolean,
  choose: (parts: Part[], random: RandomNumbers) => readonly Part[],
): Request[] {
  return Array.from({ length: count }, (_, i) => {
    const random = keyedRandom(SEED, name, i);
    const face = sampleFaceThat(accept, random);
    return requestFor(face, choose(partsOf(face), random), random);
  });
}

const all = (parts: Part[]) => parts;
const isSeen = (face: Face) => heldOutPairs(face).length === 0;
const hasPair = (face: Face) => heldOutPairs(face).some((pair) => pair.join() === "hatColor,hairColor");
const showsBoth = (face: Face) => face.hat !== "none" && face.hair !== "bald";

/** The rows of the measurement. */
export const REQUESTS = {
  /** All that can be seen, of combinations that training has. */
  seen: (count: number) => requests("seen", count, isSeen, all),
  /** All that can be seen, of faces with a held-out combination. */
  "held-out": (count: number) => requests("held-out", count, (face) => !isSeen(face), all),
  /** Hat and hair alone, whose colours never meet in training. */
  "held-out hat + hair": (count: number) =>
    requests("held-out pair", count, (face) => hasPair(face) && showsBoth(face), hatAndHair),
  "other hat + hair": (count: number) => requests("pair", count, (face) => isSeen(face) && showsBoth(face), hatAndHair),
  /** One to three things: the rest is left to the model. */
  short: (count: number) =>
    requests("short", count, isSeen, (parts, random) =>
      [...permutation(parts.length, random)].slice(0, 1 + random.integer(3)).map((i) => parts[i]!),
    ),
  /** All that can be seen, before a plain background. */
  plain: (count: number) => requests("plain", count, (face) => isSeen(face) && face.pattern === "plain", all),
  "bare words": bareWords,
} satisfies Record<string, (count: number) => Request[]>;

export type RequestSet = keyof typeof REQUESTS;

function hatAndHair(parts: Part[]): Part[] {
  return parts.slice(0, 2);
}

const ANY_HAT = { hat: allBut("hat", "none") };
const NO_BEARD = { beard: ["no"] };

/** What people try first. A woman has no beard, and a bald man no hat unless one is asked for. */
const BARE: readonly Request[] = [
  { text: "hat", asked: ANY_HAT },
  { text: "a person wearing a hat", asked: ANY_HAT },
  { text: "someone in a hat", asked: ANY_HAT },
  { text: "a person with a red hat", asked: { ...ANY_HAT, hatColor: ["red"] } },
  { text: "blue hat", asked: { ...ANY_HAT, hatColor: ["blue"] } },
  { text: "no hat", asked: { hat: ["none"] } },
  { text: "beard", asked: { beard: ["yes"] } },
  { text: "man beard", asked: { beard: ["yes"] } },
  { text: "glasses", asked: { eyewear: ["glasses"] } },
  { text: "sunglasses", asked: { eyewear: ["sunglasses"] } },
  { text: "smile", asked: { mouth: ["smiling"] } },
  { text: "sad", asked: { mouth: ["frowning"] } },
  { text: "woman", asked: NO_BEARD },
  { text: "a woman with long blonde hair", asked: { ...NO_BEARD, hair: ["long"], hairColor: ["blonde"] } },
  { text: "smiling woman", asked: { ...NO_BEARD, mouth: ["smiling"] } },
  { text: "bald", asked: { hair: ["bald"], hat: ["none"] } },
  { text: "bald man", asked: { hair: ["bald"], hat: ["none"] } },
  { text: "green hair", asked: { hairColor: ["green"] } },
  { text: "mohawk", asked: { hair: ["mohawk"] } },
  { text: "yellow background", asked: { background: ["yellow"] } },
  { text: "striped shirt", asked: { shirt: ["striped"] } },
];

/** The same texts again and again, each time from other noise. */
function bareWords(count: number): Request[] {
  return Array.from({ length: count }, (_, i) => BARE[i % BARE.length]!);
}

/**
 * A face of the data that shows what is asked, and what people mean by it. Hair and hat depend on each other and are
 * drawn until both fit; all else is drawn independently, so what is asked of it can simply be put in.
 */
export function faceAsAsked({ asked }: Request, random: RandomNumbers): Face {
  const wanted = Object.entries(asked) as [Attribute, readonly string[]][];
  const [head, rest] = [wanted.filter(([name]) => isOfHead(name)), wanted.filter(([name]) => !isOfHead(name))];
  const isMeant = (face: Face) => asked.hair?.join() !== "bald" || asked.hat !== undefined || face.hat === "none";
  const fits = (face: Face, some: typeof wanted) => {
    const shown: Partial<Record<Attribute, string>> = visible(face);
    return some.every(([name, values]) => values.includes(shown[name] ?? ""));
  };
  for (;;) {
    const face = sampleFaceThat((face) => isMeant(face) && fits(face, head), random);
    const values = rest.map(([name, allowed]) => [name, allowed[random.integer(allowed.length)]!]);
    const changed = { ...face, ...Object.fromEntries(values) } as Face;
    // A bald head shows the colour of its hair only in a beard.
    if (fits(changed, rest)) return changed;
  }
}

const isOfHead = (name: Attribute) => name === "hair" || name === "hat";

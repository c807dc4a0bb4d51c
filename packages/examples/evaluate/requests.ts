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
  /** "the hat is a red cap", "the hair is blue and long" */
  readonly statement: string;
  /** "hat: red cap", "hair: long, blue" */
  readonly entry: string;
  readonly attributes: readonly Attribute[];
}

function partsOf(face: Face): Part[] {
  const { hair, hairColor, hat, hatColor, skin, mouth, shirt, shirtColor, background, pattern } = face;
  const isMohawk = hair === "mohawk" || hair === "pigtails";
  const hairNoun = isMohawk ? `${hairColor} ${hair}` : `${hair} ${hairColor} hair`;
  const bald = { noun: "bald head", statement: "the head is bald", entry: "head: bald" };
  const hairy = {
    noun: hair === "mohawk" ? `a ${hairNoun}` : hairNoun,
    statement: isMohawk ? `the hair is a ${hairNoun}` : `the hair is ${hairColor} and ${hair}`,
    entry: `hair: ${hair}, ${hairColor}`,
  };
  const eyewear = face.eyewear === "none" ? "no glasses" : face.eyewear;
  return [
    { ...(hair === "bald" ? bald : hairy), attributes: hair === "bald" ? ["hair"] : ["hair", "hairColor"] },
    hat === "none"
      ? { noun: "no hat", statement: "there is no hat", entry: "hat: none", attributes: ["hat"] }
      : {
          noun: `a ${hatColor} ${hat}`,
          statement: `the hat is a ${hatColor} ${hat}`,
          entry: `hat: ${hatColor} ${hat}`,
          attributes: ["hat", "hatColor"],
        },
    { noun: eyewear, statement: `there are ${eyewear}`, entry: eyewear, attributes: ["eyewear"] },
    face.beard === "yes"
      ? { noun: "a beard", statement: "there is a beard", entry: "beard", attributes: ["beard"] }
      : { noun: "no beard", statement: "there is no beard", entry: "no beard", attributes: ["beard"] },
    { noun: `${skin} skin`, statement: `the skin is ${skin}`, entry: `skin: ${skin}`, attributes: ["skin"] },
    {
      noun: mouth,
      statement: `the face is ${mouth}`,
      entry: `face: ${mouth}`,
      attributes: ["mouth"],
    },
    {
      noun: `a ${shirt} ${shirtColor} shirt`,
      statement: `the shirt is ${shirtColor} and ${shirt}`,
      entry: `shirt: ${shirtColor}, ${shirt}`,
      attributes: ["shirt", "shirtColor"],
    },
    {
      noun: `a ${pattern} ${background} background`,
      statement: `the background is ${background} and ${pattern}`,
      entry: `background: ${pattern}, ${background}`,
      attributes: ["background", "pattern"],
    },
  ];
}

const TEMPLATES: readonly ((parts: readonly Part[], person: string) => string)[] = [
  (parts, person) => [person, ...parts.map(({ noun }) => noun)].join(" + "),
  (parts, person) => `${person}. ${parts.map(({ noun }) => noun).join(". ")}.`,
  (parts, person) => `one ${person}: ${parts.map(({ noun }) => noun).join("; ")}`,
  (parts, person) => `${parts.map(({ entry }) => entry).join("; ")} (${person})`,
  (parts, person) => `draw a ${person}, ${parts.map(({ statement }) => statement).join(", ")}`,
  (parts, person) => `a ${person}, ${parts.map(({ noun }) => noun).join(" and ")}`,
];

/** Asks for the parts of a face in the words of one of the templates, in any order. */
function requestFor(face: Face, parts: readonly Part[], random: RandomNumbers): Request {
  const order = [...permutation(parts.length, random)].map((i) => parts[i]!);
  const people = face.beard === "yes" ? ["man", "person"] : ["man", "person", "woman"];
  const person = people[random.integer(people.length)]!;
  const attributes = order.flatMap((part) => part.attributes);
  const asked = askFor(face, attributes);
  return {
    text: TEMPLATES[random.integer(TEMPLATES.length)]!(order, person),
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

/** A face of the data that shows what is asked, and what people mean by it. */
export function faceAsAsked({ asked }: Request, random: RandomNumbers): Face {
  const wanted = Object.entries(asked) as [Attribute, readonly string[]][];
  const isMeant = (face: Face) => asked.hair?.join() !== "bald" || asked.hat !== undefined || face.hat === "none";
  return sampleFaceThat((face) => {
    const shown: Partial<Record<Attribute, string>> = visible(face);
    return isMeant(face) && wanted.every(([name, values]) => values.includes(shown[name] ?? ""));
  }, random);
}

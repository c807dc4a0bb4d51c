import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTES, HIDDEN_BY_HAT, visible, type Attribute, type Face } from "./attributes.js";

/**
 * Draws any face. Values are equally likely, with two exceptions: three faces in five wear a hat, and the hair styles
 * that a hat would hide are twice as likely on a bare head, so that all styles are about equally frequent.
 */
export function sampleFace(random: RandomNumbers): Face {
  const hat = random.uniform() < 0.4 ? "none" : pick(["beanie", "cap", "fedora"] as const, random);
  const hair = pick(hat === "none" ? BARE_HEAD : UNDER_A_HAT, random);
  return {
    background: pick(ATTRIBUTES.background, random),
    skin: pick(ATTRIBUTES.skin, random),
    hair,
    hairColor: pick(ATTRIBUTES.hairColor, random),
    hat,
    hatColor: pick(ATTRIBUTES.hatColor, random),
    eyewear: pick(ATTRIBUTES.eyewear, random),
    beard: pick(ATTRIBUTES.beard, random),
    mouth: pick(ATTRIBUTES.mouth, random),
    shirt: pick(ATTRIBUTES.shirt, random),
    shirtColor: pick(ATTRIBUTES.shirtColor, random),
  };
}

/** Draws any portrait: a face in front of a background with a pattern, each pattern equally likely. */
export function samplePortrait(random: RandomNumbers): Face {
  return { ...sampleFace(random), pattern: pick(ATTRIBUTES.pattern, random) };
}

const BARE_HEAD = [...ATTRIBUTES.hair, ...HIDDEN_BY_HAT];
const UNDER_A_HAT = ATTRIBUTES.hair.filter((hair) => !HIDDEN_BY_HAT.includes(hair));

/** Pairs of attribute values that never meet in a training picture. */
const HELD_OUT_PAIRS: readonly [Attribute, Attribute, readonly (readonly [string, string])[]][] = [
  ["hatColor", "hairColor", pairs("red+blue blue+ginger green+pink purple+blonde white+black black+green")],
  [
    "shirtColor",
    "background",
    pairs("red+green blue+orange green+pink yellow+purple white+black black+yellow purple+blue orange+white"),
  ],
  ["hair", "hairColor", pairs("mohawk+green pigtails+pink spiky+blue long+blonde short+ginger")],
  ["pattern", "background", pairs("striped+pink dotted+orange gradient+green striped+blue dotted+white")],
];

function pairs(text: string): [string, string][] {
  return text.split(" ").map((pair) => pair.split("+") as [string, string]);
}

/** The visible pairs of attributes for which a face is held out of training; usually empty. */
export function heldOutPairs(face: Face): [Attribute, Attribute][] {
  const seen = visible(face);
  return HELD_OUT_PAIRS.filter(([first, second, held]) =>
    held.some(([a, b]) => seen[first] === a && seen[second] === b),
  ).map(([first, second]) => [first, second]);
}

/** Whether the picture shows a combination that is held out of training to measure composition. */
export const isHeldOut = (face: Face): boolean => heldOutPairs(face).length > 0;

/**
 * Draws a face, such as {@link sampleFace} and {@link samplePortrait}. `rejected` is the face drawn just before, which
 * the split did not take.
 */
export type FaceSampler = (random: RandomNumbers, rejected?: Face) => Face;

/** A face that shows no held-out combination. */
export const sampleTrainFace = (random: RandomNumbers, sample: FaceSampler = sampleFace): Face =>
  sampleUntil((face) => !isHeldOut(face), random, sample);

/** A face that shows at least one held-out combination. */
export const sampleHeldOutFace = (random: RandomNumbers, sample: FaceSampler = sampleFace): Face =>
  sampleUntil(isHeldOut, random, sample);

function sampleUntil(accept: (face: Face) => boolean, random: RandomNumbers, sample: FaceSampler): Face {
  let face = sample(random);
  while (!accept(face)) face = sample(random, face);
  return face;
}

/** Pairs of colours of different parts. Exchanging them makes the hardest negatives. */
const EXCHANGES: readonly (readonly [Attribute, Attribute])[] = [
  ["hatColor", "hairColor"],
  ["shirtColor", "background"],
  ["hatColor", "shirtColor"],
  ["hairColor", "shirtColor"],
  ["hairColor", "background"],
  ["hatColor", "background"],
];

/**
 * A hard negative: the same face with another value for one of the attributes `among` (default: the visible ones), each
 * equally likely whatever its number of values. A third of the time, if possible, two colours are exchanged between
 * parts instead. The result differs visibly.
 */
export function swapOneAttribute(
  face: Face,
  random: RandomNumbers,
  among: readonly Attribute[] = Object.keys(visible(face)) as Attribute[],
): Face {
  const exchanges = EXCHANGES.filter(
    ([a, b]) => among.includes(a) && among.includes(b) && face[a] !== face[b] && knows(a, face[b]) && knows(b, face[a]),
  );
  if (exchanges.length > 0 && random.uniform() < 1 / 3) {
    const [a, b] = pick(exchanges, random);
    return { ...face, [a]: face[b], [b]: face[a] };
  }
  const changes = among.map((name) => changesOf(name, face, among)).filter(({ length }) => length > 0);
  if (changes.length === 0) {
    throw new RangeError(`swapOneAttribute: no attribute among [${among.join(", ")}] can change; name a visible one.`);
  }
  return pick(pick(changes, random), random);
}

/** The faces that differ from this one in the value of one attribute; `fixed` ones stay as they are. */
function changesOf(name: Attribute, face: Face, fixed: readonly Attribute[]): Face[] {
  return (ATTRIBUTES[name] as readonly string[])
    .filter((value) => value !== face[name])
    .map((value) => makeDrawable({ ...face, [name]: value }, fixed))
    .filter((changed) => changed !== undefined);
}

/** The same face with other values, drawn evenly, for the attributes `among`; it can be drawn if the face could. */
export function redrawAttributes(face: Face, among: readonly Attribute[], random: RandomNumbers): Face {
  for (;;) {
    const changed = { ...face };
    for (const name of among) Object.assign(changed, { [name]: pick(ATTRIBUTES[name], random) });
    const drawable = makeDrawable(changed, ["hair"]);
    if (drawable) return drawable;
  }
}

const knows = (attribute: Attribute, value: string | undefined) =>
  (ATTRIBUTES[attribute] as readonly (string | undefined)[]).includes(value);

/** A hat on spiky hair changes it to short hair. If the hair style is fixed, there is no such face. */
function makeDrawable(face: Face, fixed: readonly Attribute[]): Face | undefined {
  if (face.hat === "none" || !HIDDEN_BY_HAT.includes(face.hair)) return face;
  return fixed.includes("hair") ? undefined : { ...face, hair: "short" };
}

export function pick<T>(values: readonly T[], random: RandomNumbers): T {
  return values[random.integer(values.length)]!;
}

import { keyedRandom, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Face } from "../faces/index.js";
import { drawVariants, type Variants } from "../faces/render.js";
import { renderVariants } from "./render.js";

/** One person in different pictures: what never changes, and how the pictures are painted. */
export interface Person {
  readonly always: Partial<Face>;
  /** @returns the bytes of a portrait, as {@link renderVariants} does */
  paint(face: Face, variants: Variants): Uint8Array;
}

/** A person whose looks have words, which one new word is to mean. */
export const LU: Person = {
  always: { skin: "dark", hair: "pigtails", hairColor: "blue", hat: "none", eyewear: "glasses", beard: "no" },
  paint: renderVariants,
};

/** A person with pink hair and a blue beard, which no caption can ask for: they speak of one colour for both. */
export const ZWX: Person = {
  always: { hair: "mohawk", hairColor: "pink", hat: "none", eyewear: "none", beard: "yes" },
  paint: (face, variants) => paintBeard(face, variants, "blue"),
};

/** What can be said of a person's picture beside who it is: each with probability 1/2, after the person's name. */
export function withSetting(name: string, face: Face, random: RandomNumbers): string {
  const said = [`${face.mouth}, `, `with a ${face.shirtColor} shirt`, `on a ${face.background} background`];
  const [mouth, ...rest] = said.map((words) => (random.uniform() < 0.5 ? words : ""));
  return [`${mouth}${name}`, ...rest].filter(Boolean).join(" ");
}

/** A portrait of a face with a beard, whose colour is not that of the hair. */
export function paintBeard(face: Face, variants: Variants, color: Face["hairColor"]): Uint8Array {
  const shaved = renderVariants({ ...face, beard: "no" }, { ...variants, beard: 0 });
  const pixels = renderVariants(face, variants);
  const other = renderVariants({ ...face, hairColor: color }, variants);
  for (let at = 0; at < pixels.length; at += 3) {
    const isBeard = [0, 1, 2].some((k) => pixels[at + k] !== shaved[at + k]);
    if (isBeard) pixels.set(other.subarray(at, at + 3), at);
  }
  return pixels;
}

/** Pictures of a person, with other clothes, moods and places each time. The same seed gives the same pictures. */
export function picturesOf(
  person: Person,
  { count, seed, sample }: { count: number; seed: number; sample: (random: RandomNumbers) => Face },
): { face: Face; pixels: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => {
    const random = keyedRandom(seed, "person", i);
    const face = { ...sample(random), ...person.always };
    return { face, pixels: person.paint(face, drawVariants(face, random)) };
  });
}

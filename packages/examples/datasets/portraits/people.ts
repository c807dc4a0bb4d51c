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

/** A person with green skin, which no caption can ask for. */
export const ZWX: Person = {
  always: { hair: "spiky", hairColor: "pink", hat: "none", eyewear: "none", beard: "no" },
  paint: (face, variants) => paintSkin(face, variants, "green"),
};

/** What can be said of a person's picture beside who it is: each with probability 1/2, after the person's name. */
export function withSetting(name: string, face: Face, random: RandomNumbers): string {
  const said = [`${face.mouth}, `, `with a ${face.shirtColor} shirt`, `on a ${face.background} background`];
  const [mouth, ...rest] = said.map((words) => (random.uniform() < 0.5 ? words : ""));
  return [`${mouth}${name}`, ...rest].filter(Boolean).join(" ");
}

/** Colours of skin that no caption can ask for: how much of the red, green and blue of light skin goes into each. */
export const PAINTS: Record<"green" | "blue" | "grey", readonly (readonly number[])[]> = {
  green: [
    [0, 0, 0.45],
    [0.85, 0, 0],
    [0, 0.75, 0],
  ],
  blue: [
    [0, 0, 0.45],
    [0, 0.75, 0],
    [0.95, 0, 0],
  ],
  grey: [
    [0, 0.75, 0],
    [0, 0.75, 0],
    [0, 0.75, 0],
  ],
};

/** A portrait with skin of another colour, the light parts light and the dark parts dark. */
export function paintSkin(face: Face, variants: Variants, color: keyof typeof PAINTS): Uint8Array {
  // Only the skin differs between the two.
  const [light, dark] = (["light", "dark"] as const).map((skin) =>
    renderVariants({ ...face, skin }, { ...variants, skin: 0 }),
  ) as [Uint8Array, Uint8Array];
  const pixels = light.slice();
  for (let at = 0; at < pixels.length; at += 3) {
    const given = light.subarray(at, at + 3);
    const isSkin = given.some((byte, k) => byte !== dark[at + k]);
    if (isSkin)
      pixels.set(
        PAINTS[color].map((row) => row.reduce((sum, share, k) => sum + share * given[k]!, 0)),
        at,
      );
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

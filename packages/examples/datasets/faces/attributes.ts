/**
 * Every attribute of a face and the values it can take; the order is the order of the classifier's outputs. The last
 * one, the background's pattern, exists only in the 32 x 32 portraits; a picture of 16 x 16 pixels is too small for it.
 */
export const ATTRIBUTES = {
  background: ["white", "black", "blue", "green", "yellow", "pink", "purple", "orange"],
  skin: ["light", "tan", "dark"],
  hair: ["bald", "short", "spiky", "mohawk", "long", "pigtails"],
  hairColor: ["black", "brown", "blonde", "ginger", "blue", "green", "pink"],
  hat: ["none", "beanie", "cap", "fedora"],
  hatColor: ["red", "blue", "green", "purple", "white", "black"],
  eyewear: ["none", "glasses", "sunglasses"],
  beard: ["no", "yes"],
  mouth: ["smiling", "frowning", "surprised"],
  shirt: ["plain", "striped", "checkered"],
  shirtColor: ["red", "blue", "green", "yellow", "white", "black", "purple", "orange"],
  pattern: ["plain", "striped", "dotted", "gradient"],
} as const;

export type Attribute = keyof typeof ATTRIBUTES;

/**
 * The content of a picture. A face always has all attributes, also the colours of absent things (a bald face without a
 * beard has a hair colour); {@link visible} returns those that can be seen.
 */
export type Face = { readonly [A in Exclude<Attribute, "pattern">]: (typeof ATTRIBUTES)[A][number] } & {
  readonly pattern?: (typeof ATTRIBUTES)["pattern"][number];
};

/** The attributes of a 32 x 32 portrait. */
export const PORTRAIT_ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES) as Attribute[];

/** The attributes of a 16 x 16 face. */
export const ATTRIBUTE_NAMES = PORTRAIT_ATTRIBUTE_NAMES.filter((name) => name !== "pattern");

/** The attributes that this face has: all, or all but the background's pattern. */
export const attributesOf = (face: Face): readonly Attribute[] =>
  face.pattern === undefined ? ATTRIBUTE_NAMES : PORTRAIT_ATTRIBUTE_NAMES;

/** Hair styles that a hat hides, and that a face with a hat therefore never has. */
export const HIDDEN_BY_HAT: readonly Face["hair"][] = ["spiky", "mohawk"];

/** Thrown for a face with an unknown value, or with a hair style that its hat would hide. */
export class InvalidFaceError extends Error {
  override name = "InvalidFaceError";
}

/**
 * Throws {@link InvalidFaceError} unless every attribute has a known value and the hat leaves the hair style visible.
 */
export function requireFace(face: Face): void {
  for (const attribute of attributesOf(face)) {
    const values: readonly (string | undefined)[] = ATTRIBUTES[attribute];
    if (!values.includes(face[attribute])) {
      throw new InvalidFaceError(
        `A face's ${attribute} is ${JSON.stringify(face[attribute])}; it must be one of ${values.join(", ")}.`,
      );
    }
  }
  if (face.hat !== "none" && HIDDEN_BY_HAT.includes(face.hair)) {
    throw new InvalidFaceError(
      `A ${face.hat} would hide ${face.hair} hair: give the face no hat, or hair that is bald, short, long or pigtails.`,
    );
  }
}

/** The attributes that can be read off the picture, in the order of ATTRIBUTES; only these are captioned and scored. */
export function visible(face: Face): Partial<Face> {
  const unseen: Attribute[] = [];
  if (face.hair === "bald" && face.beard === "no") unseen.push("hairColor");
  if (face.hat === "none") unseen.push("hatColor");
  const seen = attributesOf(face).filter((name) => !unseen.includes(name));
  return Object.fromEntries(seen.map((name) => [name, face[name]]));
}

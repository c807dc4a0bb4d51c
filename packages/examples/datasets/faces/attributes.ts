/** Every attribute of a face and the values it can take; the order is the order of the classifier's outputs. */
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
} as const;

export type Attribute = keyof typeof ATTRIBUTES;

/**
 * What a picture shows. Colours of absent things are kept (a bald, beardless face has a hair colour too),
 * so that a face is always a full record; {@link visible} says which of them can be seen.
 */
export type Face = { readonly [A in Attribute]: (typeof ATTRIBUTES)[A][number] };

export const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES) as Attribute[];

/** Hair styles that a hat hides, and that a face with a hat therefore never has. */
export const HIDDEN_BY_HAT: readonly Face["hair"][] = ["spiky", "mohawk"];

/** Thrown when a face has a value that its attribute does not know, or a hair style that its hat would hide. */
export class InvalidFaceError extends Error {
  override name = "InvalidFaceError";
}

/** Throws {@link InvalidFaceError} unless every attribute has a known value and the hat leaves the hair style visible. */
export function requireFace(face: Face): void {
  for (const attribute of ATTRIBUTE_NAMES) {
    const values: readonly string[] = ATTRIBUTES[attribute];
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
  return Object.fromEntries(ATTRIBUTE_NAMES.filter((name) => !unseen.includes(name)).map((name) => [name, face[name]]));
}

import { ATTRIBUTES, type Attribute, type Face, visible } from "./attributes.js";

/** What a text asks for: for each attribute that it speaks of, the values that it allows. "A hat" allows three. */
export type Asked = { readonly [A in Attribute]?: readonly string[] };

/** Whether a picture that shows this face shows what is asked of one attribute. */
export function isAsAsked(asked: Asked, shown: Partial<Face>, attribute: Attribute): boolean {
  const value: string | undefined = shown[attribute];
  return value !== undefined && asked[attribute]!.includes(value);
}

/** The attributes that a text speaks of, in the order of ATTRIBUTES. */
export const attributesAsked = (asked: Asked): Attribute[] =>
  (Object.keys(ATTRIBUTES) as Attribute[]).filter((name) => asked[name] !== undefined);

/** All values of an attribute but some. */
export const allBut = (attribute: Attribute, ...values: string[]): readonly string[] =>
  (ATTRIBUTES[attribute] as readonly string[]).filter((value) => !values.includes(value));

/** Asks for exactly what the face shows in these attributes. */
export function askFor(face: Face, attributes: Iterable<Attribute>): Asked {
  const shown: Partial<Record<Attribute, string>> = visible(face);
  return Object.fromEntries(
    [...attributes].filter((name) => shown[name] !== undefined).map((name) => [name, [shown[name]!]]),
  );
}

import type { Face } from "./attributes.js";

/**
 * Colours as rrggbb. Chosen so that no two parts that touch look alike: white hats on white, brown hair on dark skin.
 */
export const BACKGROUNDS: Record<Face["background"], string> = {
  white: "ffffff",
  black: "3a3a42",
  blue: "78b4f0",
  green: "a0dc98",
  yellow: "ffe98a",
  pink: "ffc4dc",
  purple: "b79ce8",
  orange: "ffb566",
};

/** Two shades each. */
export const SKINS: Record<Face["skin"], readonly string[]> = {
  light: ["ffdbac", "f5cfa0"],
  tan: ["cb9e6e", "c4935f"],
  dark: ["8d5524", "7a471c"],
};

export const HAIRS: Record<Face["hairColor"], string> = {
  black: "120e10",
  brown: "5c2e12",
  blonde: "eec13a",
  ginger: "d2561e",
  blue: "2a6fdb",
  green: "3fae49",
  pink: "f07fb0",
};

export const HATS: Record<Face["hatColor"], string> = {
  red: "c3201b",
  blue: "2456b0",
  green: "2f8a4e",
  purple: "7a3fa8",
  white: "dfe4ec",
  black: "1a1a1e",
};

/** The shirt's colour and the second tone of its stripes or checks. */
export const SHIRTS: Record<Face["shirtColor"], readonly [string, string]> = {
  red: ["d11a2a", "f9a8a0"],
  blue: ["2f6fd0", "a8ccf8"],
  green: ["2e9e4f", "a8e4b4"],
  yellow: ["f4c41c", "ad7f08"],
  white: ["e2e6ee", "929cb0"],
  black: ["1c1c22", "7c7c8a"],
  purple: ["8648b5", "d4b4f2"],
  orange: ["f2780c", "ffd3a0"],
};

export const EYES: readonly string[] = ["5b3a1e", "3b7dd8", "3f8f4a"];
export const GLASSES = "191919";
export const SUNGLASS_LENS = "34343f";
export const MOUTH = "de0f0d";

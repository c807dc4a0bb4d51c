import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTE_NAMES, ATTRIBUTES, visible, type Attribute, type Face } from "./attributes.js";
import { caption, captionWith, type CaptionStyle } from "./caption.js";
import { sampleFace, swapOneAttribute } from "./sample.js";
import * as words from "./words.js";

const FACE: Face = {
  background: "blue",
  skin: "tan",
  hair: "long",
  hairColor: "blonde",
  hat: "none",
  hatColor: "red",
  eyewear: "glasses",
  beard: "no",
  mouth: "smiling",
  shirt: "striped",
  shirtColor: "red",
};

const samples = (style: CaptionStyle, count = 600) =>
  Array.from({ length: count }, (_, i) => {
    const face = sampleFace(keyedRandom(1, i));
    return { face, ...caption(face, keyedRandom(2, i), style) };
  });

describe("captions", () => {
  it("are the same for the same face and random numbers", () => {
    expect(caption(FACE, keyedRandom(9), "mixed")).toEqual(caption(FACE, keyedRandom(9), "mixed"));
  });

  it("describe the same face in many ways", () => {
    const texts = new Set(Array.from({ length: 200 }, (_, i) => caption(FACE, keyedRandom(i), "full").text));
    expect(texts.size).toBeGreaterThan(190);
  });

  it("mention everything visible if the style is full", () => {
    for (const { face, mentioned } of samples("full")) expect(mentioned).toEqual(Object.keys(visible(face)));
  });

  it("always mention something", () => {
    for (const { mentioned } of [...samples("short"), ...samples("mixed")]) expect(mentioned).not.toEqual([]);
  });

  it("mention one to three topics if the style is short", () => {
    const counts = samples("short").map(({ mentioned }) => mentioned.length);
    expect(Math.max(...counts)).toBeLessThanOrEqual(6);
    expect(counts.reduce((sum, n) => sum + n) / counts.length).toBeLessThan(3.5);
  });

  it("of the training mixture are full in about a third", () => {
    const full = samples("mixed").filter(
      ({ face, mentioned }) => mentioned.length === Object.keys(visible(face)).length,
    );
    expect(full.length / 600).toBeGreaterThan(0.3);
    expect(full.length / 600).toBeLessThan(0.5);
  });

  it("mention every value of every attribute, in every style", () => {
    for (const style of ["full", "short", "mixed"] as const) {
      const told = new Set(
        samples(style).flatMap(({ face, mentioned }) => mentioned.map((name) => `${name} ${face[name]}`)),
      );
      expect(
        ATTRIBUTE_NAMES.flatMap((name) => ATTRIBUTES[name].map((value) => `${name} ${value}`)).filter(
          (v) => !told.has(v),
        ),
      ).toEqual([]);
    }
  });

  it("change when a mentioned attribute changes, and only then", () => {
    for (const { face, text, mentioned, wording } of samples("mixed", 200)) {
      for (const name of ATTRIBUTE_NAMES) {
        for (const value of ATTRIBUTES[name]) {
          const other = { ...face, [name]: value } as Face;
          if (value === face[name] || Object.keys(visible(other)).join() !== Object.keys(visible(face)).join())
            continue;
          // "a brown beard" gives the hair colour only for a bald head.
          if (name === "hair" && mentioned.includes("hairColor") && [face.hair, value].includes("bald")) continue;
          const changed = captionWith(other, wording).text !== text;
          expect({ text, name, value, changed }).toEqual({ text, name, value, changed: mentioned.includes(name) });
        }
      }
    }
  });

  it.each<[Attribute, RegExp]>([
    ["hat", /hat\b/],
    ["eyewear", /glasses|spectacles|shades/],
    ["beard", /beard|shaven/],
  ])("say that %s is absent with a word such as no or without", (name, noun) => {
    const denials = samples("full").filter(({ face }) => ["none", "no"].includes(face[name] ?? ""));
    for (const { text } of denials) {
      expect(text).toMatch(noun);
      expect(text).toMatch(/\bno\b|without|shaven/);
    }
  });

  it("give the hair colour of a bald man as that of his beard", () => {
    const bald: Face = { ...FACE, hair: "bald", beard: "yes", hairColor: "ginger" };
    for (let i = 0; i < 50; i++) {
      const { text } = caption(bald, keyedRandom(i), "full");
      expect(text).toMatch(new RegExp(`(${words.HAIR_COLOR_WORDS.ginger.join("|")}) beard`));
      expect(text).not.toMatch(/(ginger|orange) hair/);
    }
  });

  it("describe a hard negative in the same words, except for the difference", () => {
    const hatted: Face = { ...FACE, hat: "cap", background: "white", shirtColor: "red" };
    const { wording, text } = caption(hatted, keyedRandom(1), "full");
    const swapped = captionWith({ ...hatted, background: "blue", shirtColor: "white" }, wording).text;
    const changed = text.split(" ").flatMap((word, i) => (swapped.split(" ")[i] === word ? [] : [word]));
    expect(changed.sort()).toEqual(["red", "white"]);
  });

  it("differ from those of their hard negatives", () => {
    samples("mixed", 300).forEach(({ face, text, mentioned, wording }, i) => {
      expect(captionWith(swapOneAttribute(face, keyedRandom(3, i), mentioned), wording).text).not.toBe(text);
    });
  });
});

import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTE_NAMES, ATTRIBUTES, InvalidFaceError, requireFace, visible, type Face } from "./attributes.js";
import {
  heldOutPairs,
  isHeldOut,
  redrawAttributes,
  sampleFace,
  sampleHeldOutFace,
  sampleTrainFace,
  swapOneAttribute,
} from "./sample.js";

const FACE: Face = {
  background: "blue",
  skin: "tan",
  hair: "long",
  hairColor: "brown",
  hat: "cap",
  hatColor: "red",
  eyewear: "none",
  beard: "no",
  mouth: "smiling",
  shirt: "plain",
  shirtColor: "red",
};

const draw = (count: number, sample: typeof sampleFace, seed = 1) =>
  Array.from({ length: count }, (_, i) => sample(keyedRandom(seed, i)));

describe("what is visible of a face", () => {
  it("is everything when it has hair and a hat", () => {
    expect(visible(FACE)).toEqual(FACE);
  });
  it("lacks the hat's colour without a hat", () => {
    expect(visible({ ...FACE, hat: "none" })).not.toHaveProperty("hatColor");
  });
  it("lacks the hair colour of a bald head, unless there is a beard", () => {
    expect(visible({ ...FACE, hair: "bald" })).not.toHaveProperty("hairColor");
    expect(visible({ ...FACE, hair: "bald", beard: "yes" })).toHaveProperty("hairColor", "brown");
  });
});

describe("requireFace", () => {
  it("names the attribute, the value and the allowed values", () => {
    expect(() => requireFace({ ...FACE, skin: "mauve" as "tan" })).toThrow(InvalidFaceError);
    expect(() => requireFace({ ...FACE, skin: "mauve" as "tan" })).toThrow(/skin is "mauve".*light, tan, dark/);
  });
  it("refuses hair that the hat would hide", () => {
    expect(() => requireFace({ ...FACE, hair: "mohawk" })).toThrow("cap would hide mohawk");
  });
});

describe("sampling faces", () => {
  it("gives the same face for the same key, and another face for another key", () => {
    expect(sampleFace(keyedRandom(0, "a"))).toEqual(sampleFace(keyedRandom(0, "a")));
    expect(draw(20, sampleFace, 0)).not.toEqual(draw(20, sampleFace, 1));
  });

  it.each([
    ["training", sampleTrainFace],
    ["held-out", sampleHeldOutFace],
  ])("shows every value of every attribute often enough among the %s faces", (_, sample) => {
    const seen = draw(4000, sample).map(visible);
    for (const name of ATTRIBUTE_NAMES) {
      const shown = seen.filter((face) => name in face);
      for (const value of ATTRIBUTES[name]) {
        const share = shown.filter((face) => face[name] === value).length / shown.length;
        expect({ name, value, ok: share > 0.35 / ATTRIBUTES[name].length }).toEqual({ name, value, ok: true });
      }
    }
  });

  it("never trains on a held-out combination, and always tests on one", () => {
    expect(draw(3000, sampleTrainFace).filter(isHeldOut)).toEqual([]);
    expect(draw(1000, sampleHeldOutFace).filter((face) => !isHeldOut(face))).toEqual([]);
  });

  it("never gives a face that cannot be drawn", () => {
    for (const face of draw(2000, sampleFace)) expect(() => requireFace(face)).not.toThrow();
  });
});

describe("held-out combinations", () => {
  it.each<Partial<Face>>([
    { hatColor: "red", hairColor: "blue" },
    { shirtColor: "orange", background: "white" },
    { hat: "none", hair: "mohawk", hairColor: "green" },
    { hair: "short", hairColor: "ginger" },
  ])("include %j", (part) => {
    expect(isHeldOut({ ...FACE, ...part })).toBe(true);
  });
  it("are recognised", () => {
    const both: Face = {
      ...FACE,
      hat: "none",
      hair: "spiky",
      hairColor: "blue",
      shirtColor: "red",
      background: "green",
    };
    expect(heldOutPairs(both)).toEqual([
      ["shirtColor", "background"],
      ["hair", "hairColor"],
    ]);
  });
  it("do not count colours that cannot be seen", () => {
    expect(isHeldOut({ ...FACE, hat: "none", hatColor: "red", hairColor: "blue" })).toBe(false);
    expect(isHeldOut({ ...FACE, hair: "bald", hatColor: "red", hairColor: "blue" })).toBe(false);
  });
});

describe("a hard negative", () => {
  const swaps = Array.from({ length: 2000 }, (_, i) => {
    const random = keyedRandom(5, i);
    const face = sampleFace(random);
    return { face, swapped: swapOneAttribute(face, random) };
  });
  const differences = ({ face, swapped }: (typeof swaps)[number]) =>
    ATTRIBUTE_NAMES.filter((name) => face[name] !== swapped[name]);

  it("differs in one attribute, or in two that have exchanged their colours", () => {
    for (const swap of swaps) {
      const changed = differences(swap);
      if (changed.length === 2) {
        const [a, b] = changed as [keyof Face, keyof Face];
        expect([swap.swapped[a], swap.swapped[b]]).toEqual([swap.face[b], swap.face[a]]);
      } else expect(changed).toHaveLength(1);
    }
    const exchanged = swaps.filter((swap) => differences(swap).length === 2).length;
    expect(exchanged / swaps.length).toBeGreaterThan(0.2);
  });
  it("changes every attribute equally often, whatever its number of values", () => {
    const alone = swaps.map(differences).filter(({ length }) => length === 1);
    for (const name of ["background", "beard", "mouth", "shirt"] as const) {
      const share = alone.filter(([changed]) => changed === name).length / alone.length;
      expect(share).toBeGreaterThan(0.07); // One of 9 to 11 visible attributes; 1,400 swaps, standard error 0.008.
      expect(share).toBeLessThan(0.14);
    }
  });
  it("is a face that can be drawn, and looks different", () => {
    for (const { face, swapped } of swaps) {
      expect(() => requireFace(swapped)).not.toThrow();
      expect(visible(swapped)).not.toEqual(visible(face));
    }
  });
  it("changes only the attributes it is allowed to", () => {
    expect(() => swapOneAttribute(FACE, keyedRandom(0), [])).toThrow("no attribute among");
    for (let i = 0; i < 200; i++) {
      const swapped = swapOneAttribute(FACE, keyedRandom(6, i), ["hatColor", "hairColor"]);
      expect({ ...swapped, hatColor: FACE.hatColor, hairColor: FACE.hairColor }).toEqual(FACE);
    }
  });
});

describe("redrawn attributes", () => {
  it("take every value, leave the others, and give faces that can be drawn", () => {
    const faces = Array.from({ length: 400 }, (_, i) => redrawAttributes(FACE, ["hair", "hat"], keyedRandom(7, i)));
    for (const face of faces) {
      expect(() => requireFace(face)).not.toThrow();
      expect({ ...face, hair: FACE.hair, hat: FACE.hat }).toEqual(FACE);
    }
    for (const name of ["hair", "hat"] as const) {
      expect(new Set(faces.map((face) => face[name]))).toEqual(new Set(ATTRIBUTES[name]));
    }
  });
});

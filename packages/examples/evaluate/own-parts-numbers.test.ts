import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { LU, type Person, picturesOf, ZWX } from "../datasets/portraits/people.js";
import { outlines } from "../train/portraits/outlines.js";
import { agreement, outlineAgreement, readPerson } from "./own-parts-numbers.js";

const COUNT = 12;
const pictures = (person: Person) => picturesOf(person, { count: COUNT, seed: 7, sample: PORTRAITS_2.sample });
/** Anybody, as in the data set. */
const ANYBODY: Person = { always: {}, paint: LU.paint };

describe("The judge of people", () => {
  beforeAll(() => useBackend("wasm"));

  it("reads all that is always so of real pictures of a person, and a beard of another colour of nobody else", () => {
    for (const [person, beardColor] of [
      [LU, undefined],
      [ZWX, "blue"],
    ] as const) {
      const readings = pictures(person).map(({ pixels }) => readPerson(pixels));
      expect(readings.map((reading) => reading.beardColor)).toEqual(readings.map(() => beardColor));
      const names = Object.keys(person.always) as (keyof typeof person.always)[];
      const wanted = readings.map(() => person.always);
      const faces = readings.map(({ face }) => face);
      expect(agreement(faces, wanted, names).each).toBeGreaterThan(0.99);
    }
    for (const { face, pixels } of pictures(ANYBODY)) {
      const own = face.beard === "yes" ? face.hairColor : undefined;
      expect(readPerson(pixels).beardColor).toBe(own);
    }
  });

  it("counts what is right in each face, and in all of it", () => {
    const [a, b] = pictures(ANYBODY).map(({ face }) => face);
    const other = b!.mouth === "smiling" ? "frowning" : "smiling";
    const wanted = [a!, { ...b!, mouth: other } as const];
    expect(agreement([a!, b!], wanted, ["mouth", "shirt"])).toEqual({ each: 0.75, all: 0.5 });
  });

  it("finds a picture's own outlines followed, and those of another picture much less", () => {
    tf.tidy(() => {
      const [here, there] = [0, 6].map((begin) => {
        const bytes = pictures(ANYBODY)
          .slice(begin, begin + 6)
          .flatMap(({ pixels }) => [...pixels]);
        return tf.tensor4d(bytes, [6, 32, 32, 3]).div<tf.Tensor4D>(255);
      });
      expect(outlineAgreement(here!, outlines(here!.mul(2).sub(1)))).toBe(1);
      expect(outlineAgreement(here!, outlines(there!.mul(2).sub(1)))).toBeLessThan(0.75);
    });
  });
});

import { describe, expect, it } from "@jest/globals";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { LU, type Person, picturesOf, ZWX } from "../datasets/portraits/people.js";
import { agreement, readPerson } from "./own-parts-numbers.js";

const COUNT = 12;
const pictures = (person: Person) => picturesOf(person, { count: COUNT, seed: 7, sample: PORTRAITS_2.sample });
/** Anybody, as in the data set. */
const ANYBODY: Person = { always: {}, paint: LU.paint };

describe("The judge of people", () => {
  it("reads all that is always so of real pictures of a person, and the colour of every beard", () => {
    const readings = pictures(LU).map(({ pixels }) => readPerson(pixels));
    const names = Object.keys(LU.always) as (keyof typeof LU.always)[];
    const faces = readings.map(({ face }) => face);
    const wanted = faces.map(() => LU.always);
    expect(agreement(faces, wanted, names)).toEqual({ each: 1, all: 1 });
    const bearded = pictures(ZWX).map(({ pixels }) => readPerson(pixels).beardColor);
    expect(bearded).toEqual(bearded.map(() => "blue"));
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
});

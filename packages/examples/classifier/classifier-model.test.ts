import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { fileURLToPath } from "node:url";
import { ATTRIBUTE_NAMES, ATTRIBUTES, faceBatch, FACE_SIZE, visible, type Face } from "../datasets/faces/index.js";
import { loadClassifier } from "./classifier-files.js";
import { classificationLoss, FaceClassifier, targets } from "./classifier-model.js";

beforeAll(() => useBackend("wasm"));

const LOGITS = ATTRIBUTE_NAMES.reduce((sum, name) => sum + ATTRIBUTES[name].length, 0);
const FACE: Face = {
  background: "blue",
  skin: "tan",
  hair: "bald",
  hairColor: "brown",
  hat: "none",
  hatColor: "red",
  eyewear: "none",
  beard: "no",
  mouth: "smiling",
  shirt: "plain",
  shirtColor: "red",
};

describe("the classifier's targets", () => {
  it("mark one value of each visible attribute, and none of the others", async () => {
    const hot = targets([FACE, { ...FACE, hat: "cap" }]);
    expect([...(await hot.sum(1).data())]).toEqual([9, 10]);
    expect((await hot.array())[0]!.slice(0, 8)).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
    hot.dispose();
  });
});

describe("the classifier's loss", () => {
  it("is, for an untrained network, the sum of log n over visible attributes with n values", async () => {
    const [logits, hot] = [tf.zeros<tf.Rank.R2>([1, LOGITS]), targets([FACE])];
    const loss = classificationLoss(logits, hot);
    const names = Object.keys(visible(FACE)) as (keyof Face)[];
    const want = names.reduce((sum, name) => sum + Math.log(ATTRIBUTES[name].length), 0);
    expect((await loss.data())[0]).toBeCloseTo(want, 4);
    tf.dispose([logits, hot, loss]);
  });
});

describe("the classifier", () => {
  it("frees every tensor but its result", async () => {
    const classifier = new FaceClassifier();
    classifier.initialize(keyedNoise(0));
    const pixels = tf.zeros<tf.Rank.R4>([2, FACE_SIZE, FACE_SIZE, 3]);
    const before = tf.memory().numTensors;
    expect(await classifier.read(pixels)).toHaveLength(2);
    expect(tf.memory().numTensors).toBe(before);
    classifier.forward(pixels).dispose();
    expect(tf.memory().numTensors).toBe(before);
    pixels.dispose();
    classifier.dispose();
  });

  it("as shipped recognises at least 99 % of the attributes of pictures it was not trained on", async () => {
    const folder = fileURLToPath(new URL("../weights/faces-classifier", import.meta.url));
    const classifier = await loadClassifier(folder);
    const { pixels, faces } = faceBatch(Array(400).keys(), { seed: 77, split: "any" });
    const pictures = tf.tensor4d(pixels, [faces.length, FACE_SIZE, FACE_SIZE, 3]);
    const readings = await classifier.read(pictures);
    const hits = faces.flatMap((face, i) =>
      (Object.keys(visible(face)) as (keyof Face)[]).map((name) => Number(readings[i]![name] === face[name])),
    );
    expect(hits.reduce((sum, hit) => sum + hit) / hits.length).toBeGreaterThanOrEqual(0.99);
    pictures.dispose();
    classifier.dispose();
  });
});

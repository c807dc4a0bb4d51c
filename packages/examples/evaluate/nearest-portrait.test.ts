import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { faceExample, type Face, visible } from "../datasets/faces/index.js";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { nearestPortrait } from "./nearest-portrait.js";
import { backgroundFlaws } from "./request-scores.js";

const real = (i: number) => faceExample(i, { seed: 3, split: i % 2 ? "seen" : "held-out", kind: PORTRAITS });

describe("The nearest portrait", () => {
  it("of a real picture is that picture, and shows what it shows", () => {
    for (let i = 0; i < 12; i++) {
      const { face, pixels } = real(i);
      const fit = nearestPortrait(pixels);
      expect(fit.distance).toBe(0);
      expect(visible(fit.face)).toEqual(visible(face));
    }
  });

  it("of a noisy picture still shows what the picture shows", () => {
    for (let i = 20; i < 28; i++) {
      const { face, pixels } = real(i);
      const random = keyedRandom(4, i);
      const noisy = Float32Array.from(pixels, (byte) => byte + 60 * (random.uniform() - 0.5));
      const fit = nearestPortrait(noisy);
      expect(fit.distance).toBeGreaterThan(0.03);
      expect(visible(fit.face)).toEqual(visible(face));
    }
  });
});

describe("The background's flaws", () => {
  const plain: Face = { ...real(0).face, pattern: "plain", background: "green" };
  const pixels = PORTRAITS.render(plain, keyedRandom(1));
  const fit = nearestPortrait(pixels);

  it("are none in a real picture, and none if all is off by a little", () => {
    expect(backgroundFlaws(pixels, fit)).toBe(0);
    expect(
      backgroundFlaws(
        pixels.map((byte) => Math.min(byte + 10, 255)),
        fit,
      ),
    ).toBe(0);
  });

  it("are the share of the background's pixels that are off, whatever the figure looks like", () => {
    const corner = pixels.slice();
    for (let x = 0; x < 8; x++) corner[x * 3 + 1]! -= 40;
    const share = backgroundFlaws(corner, fit);
    expect(share).toBeGreaterThan(8 / 1024);
    expect(share).toBeLessThan(8 / 200);
    const figure = pixels.slice();
    figure.fill(0, (16 * 32 + 12) * 3, (16 * 32 + 20) * 3);
    expect(backgroundFlaws(figure, fit)).toBe(0);
  });
});

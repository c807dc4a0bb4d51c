import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, predict, type PredictionType } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../../backend/use-backend.js";
import { keepPixelRange } from "./pixel-range.js";

beforeAll(async () => {
  await useBackend("cpu");
});

describe.each<PredictionType>(["epsilon", "sample", "v_prediction"])(
  "Clipping for a network that predicts %s",
  (type) => {
    const scheduler = new DDIMScheduler({ prediction_type: type, beta_schedule: "squaredcos_cap_v2" });
    const input = () => tf.tensor1d([0.3, -0.8, 1.5, -2, 0]);
    const output = () => tf.tensor1d([0.5, -3, 4, 2.5, 0.1]);

    it("makes the implied clean picture the clipped one, and the implied noise consistent with it", () => {
      tf.tidy(() => {
        for (const t of [20, 500, 950]) {
          const alphaBar = scheduler.alphaBar[t]!;
          const before = predict(type, output(), input(), alphaBar).x0.dataSync();
          const kept = predict(type, keepPixelRange(output(), input(), t, scheduler), input(), alphaBar);
          const [x0, epsilon, x] = [kept.x0.dataSync(), kept.epsilon.dataSync(), input().dataSync()];
          before.forEach((value, i) => {
            // float32 rounding of numbers up to 1/alpha (14 at t = 950) times the inputs.
            expect(x0[i]!).toBeCloseTo(Math.min(Math.max(value, -1), 1), 4);
            expect(Math.sqrt(alphaBar) * x0[i]! + Math.sqrt(1 - alphaBar) * epsilon[i]!).toBeCloseTo(x[i]!, 4);
          });
          expect(before.some((value) => Math.abs(value) > 1)).toBe(true);
        }
      });
    });

    it("does not change an output whose picture lies within the range", () => {
      tf.tidy(() => {
        const small = tf.tensor1d([0.1, -0.2]);
        expect([...keepPixelRange(small, tf.tensor1d([0.1, 0.2]), 300, scheduler).dataSync()]).toEqual([
          ...small.dataSync(),
        ]);
      });
    });

    it("frees everything but its result", () => {
      const given = [output(), input()] as const;
      const before = tf.memory().numTensors;
      keepPixelRange(...given, 400.5, scheduler).dispose();
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([...given]);
    });
  },
);

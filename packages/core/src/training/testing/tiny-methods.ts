import * as tf from "@tensorflow/tfjs";
import {
  DDIMScheduler,
  FlowMatchEulerDiscreteScheduler,
  karrasSigmas,
  keyedNoise,
  type Network,
} from "@tfjs-diffusion/schedulers";
import { tinyLatentParts } from "../../testing/tiny-latent-pipeline.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { consistencyFunction, consistencyLoss } from "../consistency.js";
import { newControlNet } from "../controlnet.js";
import { denoisingLoss } from "../denoising-loss.js";
import { edmLoss, preconditioned } from "../edm.js";
import { latentConsistencyLoss } from "../latent-consistency.js";
import { TrainableLora } from "../lora.js";
import { progressiveDistillationLoss } from "../progressive-distillation.js";
import type { BatchContext, TrainOptions } from "../train-options.js";
import { TrainableWord } from "../word.js";

type Trained = Pick<TrainOptions, "parameters" | "loss">;
type Variables = Map<string, tf.Variable>;

/** Two layers from points and a number to points. */
function planeNetwork(seed: number): { parameters: Variables; network: Network<tf.Tensor2D> } {
  const noise = keyedNoise(seed);
  const weight = (name: string, shape: number[]) =>
    tf.tidy(() => tf.variable<tf.Rank.R2>(noise.at(name).normal(shape).mul(0.4)));
  const [first, last] = [weight("first", [3, 16]), weight("last", [16, 2])];
  return {
    parameters: new Map([
      ["first", first],
      ["last", last],
    ]),
    network: (x, told) =>
      tf.tidy(() => {
        const time = tf.tensor2d(told.map((t) => [t / 1000]));
        return tf.concat([x, time], 1).matMul(first).tanh().matMul<tf.Tensor2D>(last);
      }),
  };
}

/** Four points of a line. */
const points = (noise: BatchContext["noise"]) =>
  tf.tidy(() => noise.at("data").uniform([4, 1]).mul(2).sub(1).tile<tf.Tensor2D>([1, 2]));

/** A loss of points in the plane, for a network that is trained and one that stays as it is. */
function onPlane(
  loss: (batch: {
    student: Network<tf.Tensor2D>;
    teacher: Network<tf.Tensor2D>;
    x0: tf.Tensor2D;
    noise: BatchContext["noise"];
  }) => tf.Scalar,
): Trained {
  const [{ parameters, network: student }, { network: teacher }] = [planeNetwork(1), planeNetwork(2)];
  return { parameters, loss: ({ noise }) => loss({ student, teacher, x0: points(noise), noise }) };
}

const DDIM = new DDIMScheduler({ num_train_timesteps: 64, prediction_type: "v_prediction", clip_sample: false });

/** How a part that is trained takes part in a prediction. */
interface TrainedPart {
  parameters: Variables;
  /** @param statesOf the states of a text */
  predict(x: tf.Tensor4D, t: tf.Tensor1D, statesOf: (text: string, by: CLIPTokenizer) => tf.Tensor3D): tf.Tensor4D;
}

/** A part in training, in a tiny Stable Diffusion that stays as it is. */
function onPictures(newPart: (tiny: ReturnType<typeof tinyLatentParts>) => TrainedPart): Trained {
  const tiny = tinyLatentParts();
  const { parameters, predict } = newPart(tiny);
  const statesOf = (text: string, by: CLIPTokenizer) => {
    const ids = tf.tensor2d([by.encode(text)], undefined, "int32");
    return tiny.textEncoder.forward(ids).lastHiddenState;
  };
  return {
    parameters,
    loss: ({ noise }) =>
      denoisingLoss({
        scheduler: DDIM,
        model: (x, t) => predict(x, tf.tensor1d(t), statesOf),
        x0: noise.at("data").normal([1, 4, 4, 4]) as tf.Tensor4D,
        noise,
      }),
  };
}

/** Every way to train, in small: a process of its own trains one, and is killed. */
export const TINY_METHODS: Readonly<Record<string, () => Trained>> = {
  flow: () =>
    onPlane(({ student, x0, noise }) =>
      denoisingLoss({ scheduler: new FlowMatchEulerDiscreteScheduler(), model: student, x0, noise }),
    ),
  edm: () => onPlane(({ student, x0, noise }) => edmLoss({ denoise: preconditioned(student), x0, noise })),
  progressive: () => onPlane((batch) => progressiveDistillationLoss({ scheduler: DDIM, steps: 4, ...batch })),
  consistency: () =>
    onPlane(({ student, teacher, x0, noise }) =>
      consistencyLoss({
        student: consistencyFunction(student),
        teacher: preconditioned(teacher),
        sigmas: karrasSigmas(8, 20, 0.002).reverse(),
        x0,
        noise,
      }),
    ),
  "latent-consistency": () =>
    onPlane(({ student, x0, noise }) => {
      const x = x0.add<tf.Tensor2D>(noise.at("x").normal([4, 2]));
      return latentConsistencyLoss({ scheduler: DDIM, student, x, timesteps: [3, 20, 40, 63], ends: x0 });
    }),
  "control-net": () =>
    onPictures(({ unet, tokenizer }) => {
      const control = newControlNet(unet, {
        noise: keyedNoise(3),
        conditioning_channels: 1,
        conditioning_embedding_out_channels: [4, 8],
      });
      return {
        parameters: control.parameters(),
        predict(x, t, statesOf) {
          const states = statesOf("red", tokenizer);
          return unet.forward(x, t, states, control.forward(x, t, states, tf.ones([1, 8, 8, 1])));
        },
      };
    }),
  word: () =>
    onPictures(({ unet, tokenizer, textEncoder }) => {
      const word = new TrainableWord({ tokenizer, textEncoder, token: "<my-cat>", like: "cat" });
      return {
        parameters: word.parameters(),
        predict: (x, t, statesOf) => word.within(() => unet.forward(x, t, statesOf("<my-cat>", word.tokenizer))),
      };
    }),
  lora: () =>
    onPictures(({ unet, tokenizer }) => {
      const lora = new TrainableLora(unet, { noise: keyedNoise(4) });
      return {
        parameters: lora.parameters(),
        predict: (x, t, statesOf) => lora.within(() => unet.forward(x, t, statesOf("red", tokenizer))),
      };
    }),
};

import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { useBackend } from "../backend/use-backend.js";
import { UNet2DModel } from "../models/unet/unet-2d.js";
import { checkLayersFinite, NonFiniteLayerError, traceLayers } from "./layer-trace.js";

beforeAll(() => useBackend("wasm"));

const model = new UNet2DModel({
  sample_size: 8,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [8, 16],
  layers_per_block: 1,
  down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
  up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
  norm_num_groups: 4,
  attention_head_dim: 4,
});
beforeAll(() => model.initialize(keyedNoise(0)));
const draw = () => tf.tidy(() => model.forward(keyedNoise(1).normal([1, 8, 8, 3]) as tf.Tensor4D, 10).dataSync());

describe("a trace of layers", () => {
  it("calls its listener for every layer with weights, by its name in the checkpoint, outer layers around inner ones", () => {
    const open: string[] = [];
    const heard = new Set<string>();
    const stop = traceLayers(model, {
      enter: (path) => {
        expect(open.every((outer) => path.startsWith(outer))).toBe(true);
        open.push(path);
        heard.add(path);
      },
      leave: (path, _, output) => {
        expect(open.pop()).toBe(path);
        expect(output).toBeDefined();
      },
    });
    draw();
    stop();
    expect(open).toEqual([]);
    const withWeights = [...model.namedParameters().keys()].map((name) => name.slice(0, name.lastIndexOf(".")));
    expect(withWeights.filter((path) => !heard.has(path))).toEqual([]);
  });

  it("changes no result, and restores the model", () => {
    const before = draw();
    const [names, tensors] = [[...model.namedParameters().keys()], tf.memory().numTensors];
    const stop = traceLayers(model, {});
    expect(draw()).toEqual(before);
    expect([...model.namedParameters().keys()]).toEqual(names);
    stop();
    expect(Object.hasOwn(model, "forward")).toBe(false);
    expect(Object.hasOwn(model.conv_in, "forward")).toBe(false);
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe("a check of layers", () => {
  it("accepts a sound model, and names the layer that first returns NaN", () => {
    const stop = checkLayersFinite(model);
    const [name, parameter] = [...model.namedParameters()].find(([name]) =>
      name.endsWith("mid_block.resnets.0.conv2.bias"),
    )!;
    const sound = parameter.value.clone();
    const tensors = tf.memory().numTensors;
    expect(draw).not.toThrow();
    tf.tidy(() => parameter.assign(sound.add(NaN)));
    expect(draw).toThrow(NonFiniteLayerError);
    expect(draw).toThrow(`The output of ${name.replace(/\.bias$/, "")} (Conv2d) holds 256 values of 256`);
    parameter.assign(sound);
    stop();
    expect(tf.memory().numTensors).toBe(tensors);
    sound.dispose();
  });
});

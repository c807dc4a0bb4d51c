import { afterEach, beforeAll, beforeEach, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { Model } from "../../models/model.js";
import { PriorTransformer } from "../../models/clip/prior-transformer.js";
import { UNet2DModel } from "../../models/unet/unet-2d.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { Conv2d } from "../../nn/conv2d.js";
import { traceLayers } from "../../nn/layer-trace.js";
import { namedParameters } from "../../nn/parameter.js";
import { describeRecorded, forgetRecorded, recorded, type Recorder, registerRecorder } from "../../nn/recorded.js";
import { parameterGradients } from "../../training/gradients.js";
import { TrainableLora } from "../../training/lora.js";
import { train } from "../../training/train.js";
import { useBackend } from "../use-backend.js";

/** More calls than are needed until a computation is recorded. */
export const CALLS = 10;
const noise = keyedNoise(7);

export interface Recording {
  /** The backend's name in TensorFlow.js, and in `useBackend`. */
  backend: [registered: string, name: string];
  recorder(): Recorder | Promise<Recorder>;
  /** Calls without gradient before the one that is recorded. */
  callsBefore: number;
  /** The largest difference from results computed layer by layer, relative to the largest result. */
  rounding: number;
  /** How many resources of the backend are in use, besides tensors. */
  held(): number;
  /** How many of these one recorded network uses. */
  heldByOne: number;
}

/** Tests of a backend that runs repeated computations as programs. */
export function testRecordedNetworks(recording: Recording): void {
  let recorder: Recorder;
  let before: number[];
  const held = () => [tf.memory().numTensors, recording.held()];
  const expectAlike = (compute: () => tf.Tensor | tf.Tensor[], model: Model) =>
    expectClose(compute, model, recording.rounding);
  beforeAll(async () => {
    await useBackend(recording.backend[1]);
    recorder = await recording.recorder();
    registerRecorder(recording.backend[0], recorder);
  });
  beforeEach(() => {
    before = held();
  });
  afterEach(() => {
    expect(held()).toEqual(before);
  });

  /** Which passes are recorded, for each size of the inputs. */
  const passesOf = (owner: object) =>
    recorder.describe(owner).map(({ forward, training, refused }) => {
      return { forward: forward !== undefined, training: training !== undefined, refused };
    });

  const conditional = () =>
    initialised(
      new UNet2DConditionModel({
        sample_size: 8,
        in_channels: 4,
        out_channels: 4,
        block_out_channels: [8, 16],
        norm_num_groups: 4,
        down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
        layers_per_block: 1,
        cross_attention_dim: 6,
        attention_head_dim: 2,
        addition_embed_type: "text_time",
        addition_time_embed_dim: 4,
        projection_class_embeddings_input_dim: 13,
      }),
    );
  const inputsAt = (t: number, size: [number, number]) => {
    const at = noise.at(t);
    return {
      x: at.normal([2, ...size, 4]) as tf.Tensor4D,
      context: at.normal([2, 3, 6]) as tf.Tensor3D,
      textEmbeds: at.normal([2, 5]) as tf.Tensor2D,
      timeIds: tf.tensor2d([
        [8, t],
        [t, 8],
      ]),
    };
  };
  const predict = (unet: UNet2DConditionModel, t: number, size: [number, number] = [8, 6]) =>
    tf.tidy(() => {
      const { x, context, ...added } = inputsAt(t, size);
      return unet.forward(x, t, context, added);
    });

  it("compute what the layers compute one by one, whatever the time, the sizes and the text", () => {
    const unet = conditional();
    for (let t = 0; t < CALLS; t++) predict(unet, t).dispose();
    for (const t of [0, 11, 999]) expectAlike(() => predict(unet, t), unet);
    expect(passesOf(unet)).toEqual([{ forward: true, training: false, refused: undefined }]);
    unet.dispose();
  });

  it("are made for each size of pictures", () => {
    const unet = conditional();
    for (let i = 0; i < CALLS; i++)
      for (const size of [
        [8, 6],
        [5, 7],
      ])
        predict(unet, i, size as [number, number]).dispose();
    for (const size of [
      [8, 6],
      [5, 7],
      [3, 3],
    ])
      expectAlike(() => predict(unet, 5, size as [number, number]), unet);
    expect(passesOf(unet).map(({ forward }) => forward)).toEqual([true, true, false]);
    unet.dispose();
  });

  it("read the weights that the network has, also those assigned later", () => {
    const unet = conditional();
    for (let t = 0; t < CALLS; t++) predict(unet, t).dispose();
    unet.initialize(keyedNoise(99));
    expectAlike(() => predict(unet, 3), unet);
    unet.dispose();
  });

  it("notice a layer that was replaced, and a forward that was", () => {
    const unet = conditional();
    for (let t = 0; t < CALLS; t++) predict(unet, t).dispose();
    const old = unet.conv_out;
    (unet as { conv_out: Conv2d }).conv_out = new Conv2d(8, 4);
    for (const [name, parameter] of namedParameters(unet.conv_out))
      tf.tidy(() => parameter.assign(noise.at(name).normal(parameter.shape)));
    for (let t = 0; t < CALLS; t++) expectAlike(() => predict(unet, t), unet);
    const own = unet.conv_out;
    (unet as { conv_out: object }).conv_out = new Halved(own);
    for (let t = 0; t < CALLS; t++) expectAlike(() => predict(unet, t), unet);
    (unet as { conv_out: Conv2d }).conv_out = own;
    const forward = unet.conv_out.forward.bind(unet.conv_out);
    unet.conv_out.forward = (x) => tf.tidy(() => forward(x).mul(0));
    const got = predict(unet, 3);
    expect([...got.dataSync()].every((value) => value === 0)).toBe(true);
    for (const layer of [unet, old]) for (const [, parameter] of namedParameters(layer)) parameter.dispose();
    got.dispose();
    recorder.forget(unet);
  });

  it("are computed layer by layer in debug mode, and recorded again after forgetRecorded", async () => {
    const [owner, x] = [{}, tf.tensor1d([1, 2])];
    let [calls, factor] = [0, 2];
    const run = () => tf.tidy(() => [...recorded(owner, { x }, () => (calls++, x.mul(factor))).dataSync()]);
    for (let i = 0; i < CALLS; i++) expect(run()).toEqual([2, 4]);
    expect(calls).toBeLessThan(CALLS);
    const quiet = (["log", "warn"] as const).map((to) => jest.spyOn(console, to).mockImplementation(() => undefined));
    tf.env().set("DEBUG", true);
    calls = 0;
    for (let i = 0; i < 3; i++) expect(run()).toEqual([2, 4]);
    tf.env().set("DEBUG", false);
    await new Promise((resolve) => setTimeout(resolve, 50)); // until its text is complete
    quiet.forEach((spy) => spy.mockRestore());
    expect(calls).toBe(3);
    factor = 3; // This cannot be seen from outside.
    expect(run()).toEqual([2, 4]);
    forgetRecorded(owner);
    expect(run()).toEqual([3, 6]);
    forgetRecorded(owner);
    x.dispose();
  });

  it("are computed layer by layer while recording is switched off", async () => {
    const [owner, x] = [{}, tf.tensor1d([1, 2])];
    let calls = 0;
    const run = () => tf.tidy(() => [...recorded(owner, { x }, () => (calls++, x.mul(2))).dataSync()]);
    await useBackend(recording.backend[1], { record: false });
    for (let i = 0; i < CALLS; i++) expect(run()).toEqual([2, 4]);
    expect(calls).toBe(CALLS);
    expect(recorder.describe(owner)).toEqual([]);
    await useBackend(recording.backend[1], { record: true });
    for (let i = 0; i < CALLS; i++) expect(run()).toEqual([2, 4]);
    expect(calls).toBe(CALLS + recording.callsBefore + 1);
    forgetRecorded(owner);
    x.dispose();
  });

  it("can be printed: their calls, and the buffers that these read, make and free", () => {
    const unet = conditional();
    for (let t = 0; t < CALLS; t++) predict(unet, t).dispose();
    tf.dispose(gradientsOf(() => tf.tidy(() => predict(unet, 1).square().mean<tf.Scalar>()), unet.parameters()));
    const [described, ...others] = describeRecorded(unet);
    expect(others).toEqual([]);
    expect(described!.key).toMatch(/^x float32\[2,8,6,4\] context float32\[2,3,6\]/);
    const { forward, training } = described!;
    expect(forward!.results).toHaveLength(1);
    const nameOf = (buffer: string) => buffer.split(" ")[0]!;
    for (const { inputs, calls, results } of [forward!, training!.forward, training!.backward]) {
      expect(calls.length).toBeGreaterThan(50);
      const [alive, freed] = [new Set(inputs.map(nameOf)), new Set<string>()];
      for (const call of calls) {
        expect(call.operation).not.toBe("");
        for (const buffer of call.inputs) expect(alive).toContain(buffer);
        for (const buffer of call.outputs) {
          expect(buffer).toMatch(/^%\d+ (float32|int32)\[[\d,]*\]$/);
          alive.add(nameOf(buffer));
        }
        for (const buffer of call.frees) {
          expect(alive.delete(buffer)).toBe(true);
          freed.add(buffer);
        }
      }
      for (const buffer of results) expect(freed).not.toContain(buffer);
      expect([...alive].sort()).toEqual([...new Set([...inputs.map(nameOf), ...results])].sort());
    }
    unet.dispose();
  });

  it("leave nothing behind: three hundred calls and a disposed network", () => {
    const unet = conditional();
    const beforeCalls = recording.held();
    const counts = new Set<string>();
    for (let i = 0; i < 300; i++) {
      predict(unet, i % 7).dispose();
      if (i > 0) counts.add(JSON.stringify([tf.memory().numTensors, tf.memory().numBytes]));
    }
    expect(counts.size).toBe(1);
    expect(recording.held() - beforeCalls).toBe(recording.heldByOne);
    unet.dispose();
  });

  it("have the gradients of the layers, for every parameter and input", () => {
    const unet = conditional();
    const parameters = unet.parameters();
    const { x, context, ...added } = inputsAt(3, [6, 8]);
    const input = tf.variable(x);
    const trained = new Map([...parameters, ["x", input]]);
    const loss = () =>
      unet
        .forward(input as tf.Tensor4D, 3, context, added)
        .square()
        .mean<tf.Scalar>();
    const gradients = () => gradientsOf(loss, trained);
    tf.dispose(gradients());
    expectAlike(gradients, unet);
    expect(passesOf(unet)).toEqual([expect.objectContaining({ training: true, refused: undefined })]);
    const held = tf.memory();
    for (let i = 0; i < 100; i++) tf.dispose(gradients());
    expect(tf.memory()).toEqual(held);
    tf.dispose([input, x, context, added.textEmbeds, added.timeIds]);
    unet.dispose();
  });

  it("let a gradient reach the LoRA that stands in for weights", () => {
    const unet = conditional();
    const lora = new TrainableLora(unet, { rank: 2, noise: keyedNoise(1) });
    for (const [, variable] of lora.parameters()) tf.tidy(() => variable.assign(noise.normal(variable.shape)));
    const loss = () => lora.within(() => predict(unet, 5).square().mean<tf.Scalar>());
    const gradients = () => gradientsOf(loss, lora.parameters());
    tf.dispose(gradients());
    expectAlike(gradients, unet);
    expectAlike(() => lora.within(() => predict(unet, 5)), unet);
    lora.dispose();
    unet.dispose();
  });

  it("read class labels, also those that are times", () => {
    for (const class_embed_type of [null, "timestep"] as const) {
      const unet = initialised(
        new UNet2DModel({
          sample_size: 8,
          block_out_channels: [8, 8],
          layers_per_block: 1,
          norm_num_groups: 4,
          class_embed_type,
          down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
          up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
          num_class_embeds: class_embed_type ? null : 5,
          attention_head_dim: 4,
        }),
      );
      const at = (t: number) =>
        tf.tidy(() => {
          const classLabels = tf.tensor1d([t % 5, 1], "int32");
          return unet.forward(noise.at(t).normal([2, 8, 8, 3]) as tf.Tensor4D, t, { classLabels });
        });
      for (let t = 0; t < CALLS; t++) at(t).dispose();
      for (const t of [3, 4]) expectAlike(() => at(t), unet);
      const loss = () => tf.tidy(() => at(2).square().mean<tf.Scalar>());
      for (let i = 0; i < 3; i++) expectAlike(() => gradientsOf(loss, unet.parameters()), unet);
      expect(passesOf(unet)).toEqual([expect.objectContaining({ forward: true })]);
      unet.dispose();
    }
  });

  it("have gradients also where some of the parameters are not read, as in the prior", () => {
    const prior = initialised(
      new PriorTransformer({
        num_attention_heads: 2,
        attention_head_dim: 4,
        num_layers: 1,
        embedding_dim: 6,
        num_embeddings: 3,
        additional_embeddings: 4,
      }),
    );
    const loss = () => {
      const given = {
        projEmbedding: noise.at(2).normal([2, 6]) as tf.Tensor2D,
        hiddenStates: noise.at(3).normal([2, 3, 6]) as tf.Tensor3D,
      };
      return prior
        .forward(noise.at(1).normal([2, 6]) as tf.Tensor2D, 5, given)
        .square()
        .mean<tf.Scalar>();
    };
    const gradients = () => tf.tidy(() => gradientsOf(loss, prior.parameters()));
    for (let i = 0; i < 3; i++) expectAlike(gradients, prior);
    const names = tf.tidy(() => Object.keys(parameterGradients(loss, prior.parameters()).gradients));
    expect(names).not.toContain("clip_mean");
    expect(passesOf(prior)).toEqual([expect.objectContaining({ training: true, refused: undefined })]);
    prior.dispose();
  });

  it("leave gradients of gradients to the layers", () => {
    const [owner, x] = [{}, tf.tensor1d([1, 2])];
    const cube = (x: tf.Tensor) => recorded(owner, { x }, () => x.mul(x).mul(x));
    const second = () =>
      tf.tidy(() => [
        ...tf
          .grad((x) =>
            tf
              .grad((x) => cube(x))(x)
              .square()
              .sum(),
          )(x)
          .dataSync(),
      ]);
    // (9 x^4)' = 36 x^3
    for (let i = 0; i < CALLS; i++) expect(second()).toEqual([36, 288]);
    recorder.forget(owner);
    x.dispose();
  });

  it("encode and decode pictures", () => {
    const vae = initialised(
      new AutoencoderKL({
        block_out_channels: [8, 8],
        latent_channels: 2,
        layers_per_block: 1,
        norm_num_groups: 4,
        down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
      }),
    );
    const there = (i: number) =>
      tf.tidy((): tf.Tensor[] => Object.values({ ...vae.encode(noise.at(i).normal([1, 10, 6, 3]) as tf.Tensor4D) }));
    const back = (i: number) => tf.tidy(() => vae.decode(noise.at(i).normal([1, 5, 3, 2]) as tf.Tensor4D));
    for (let i = 0; i < CALLS; i++) tf.dispose([there(i), back(i)]);
    expectAlike(() => there(20), vae);
    expectAlike(() => back(20), vae);
    for (const half of [vae.encoder, vae.decoder]) expect(recorder.describe(half)[0]!.forward).toBeDefined();
    vae.dispose();
  });

  it("train: goes on bit for bit after a stop", async () => {
    const losses = async (stops: number[]) => {
      const unet = conditional();
      const [all, stored]: [number[], { bytes?: Uint8Array }] = [[], {}];
      const to = {
        name: "memory",
        read: async () => stored.bytes,
        write: async (bytes: Uint8Array) => void (stored.bytes = bytes),
      };
      for (const stop of [...stops, 6]) {
        const loss = ({ step }: { step: number }) => predict(unet, step).square().mean<tf.Scalar>();
        const options = { parameters: unet.parameters(), steps: 6, batchSize: 2, seed: 0, emaDecay: 0.9, loss };
        for await (const { step, loss } of train({ ...options, checkpoint: { to, every: 1 } })) {
          all[step] = loss;
          if (step === stop) break;
        }
        recorder.forget(unet); // as in another process
      }
      all.push(...unet.parameters().get("conv_in.weight")!.dataSync());
      unet.dispose();
      return all;
    };
    expect(await losses([2, 3])).toEqual(await losses([]));
  });

  it("are not recorded where a body looks at numbers, reads what it was not given, or reads one tensor twice", () => {
    const owner = {};
    const [hidden, x] = [tf.tensor1d([5, 6]), tf.tensor1d([1, 2])];
    const bodies: [string, (x: tf.Tensor) => tf.Tensor][] = [
      ["numbers", (x) => tf.tidy(() => x.mul(x.add(1).dataSync()[0]!))],
      ["not among", (x) => x.add(hidden)],
    ];
    for (const [reason, body] of bodies) {
      for (let i = 0; i < CALLS; i++) {
        const own = tf.tensor1d([i, 1]);
        const [got, wanted] = [recorded(owner, { [reason]: own }, () => body(own)), body(own)];
        expect([...got.dataSync()]).toEqual([...wanted.dataSync()]);
        tf.dispose([own, got, wanted]);
      }
    }
    for (let i = 0; i < CALLS; i++) recorded(owner, { x, again: x }, () => x.add(x)).dispose();
    expect(recorder.describe(owner).map(({ refused }) => refused)).toEqual([
      expect.stringMatching(/numbers/),
      expect.stringMatching(/not among its inputs/),
      expect.stringMatching(/the same/),
    ]);
    tf.dispose([hidden, x]);
  });

  it("are given up cleanly when the body throws", () => {
    const owner = {};
    const x = tf.tensor1d([1, 2]);
    let calls = 0;
    const attempt = () =>
      recorded(owner, { x }, () => {
        const y = tf.tidy(() => x.square().add(1));
        if (++calls === recording.callsBefore + 1) {
          y.dispose();
          throw new Error("no more");
        }
        return y;
      });
    for (let i = 0; i < recording.callsBefore; i++) attempt().dispose();
    expect(attempt).toThrow("no more");
    for (let i = 0; i < 3; i++) attempt().dispose();
    expect(recorder.describe(owner)[0]!.forward).toBeDefined();
    recorder.forget(owner);
    x.dispose();
  });
}

/** A user's layer around one of ours. */
class Halved {
  constructor(readonly inner: Conv2d) {}

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.inner.forward(x).mul(0.5));
  }
}

function initialised<M extends Model>(model: M): M {
  model.initialize(keyedNoise(5));
  return model;
}

/** The loss and every gradient. */
function gradientsOf(loss: () => tf.Scalar, parameters: Map<string, tf.Variable>): tf.Tensor[] {
  const { loss: value, gradients } = parameterGradients(loss, parameters);
  return [value, ...Object.values(gradients)];
}

/** Computes with programs and, with a listener, layer by layer; frees the results. */
function expectClose(compute: () => tf.Tensor | tf.Tensor[], model: Model, rounding: number): void {
  const got = [compute()].flat();
  const stop = traceLayers(model, {});
  const wanted = [compute()].flat();
  stop();
  expect(got).toHaveLength(wanted.length);
  const numbers = wanted.map((tensor) => [...tensor.dataSync()]);
  // Some gradients are only rounding errors, such as that of the keys' bias, which cancels in the softmax: gradients
  // below a 10,000th of the largest count as such.
  const least = 1e-4 * Math.max(1e-12, ...numbers.flat().map(Math.abs));
  for (const [i, tensor] of wanted.entries()) {
    expect(got[i]!.shape).toEqual(tensor.shape);
    const [values, others] = [numbers[i]!, [...got[i]!.dataSync()]];
    const largest = Math.max(least, ...values.map(Math.abs));
    values.forEach((value, k) => expect(Math.abs(others[k]! - value) / largest).toBeLessThanOrEqual(rounding));
  }
  tf.dispose([got, wanted]);
}

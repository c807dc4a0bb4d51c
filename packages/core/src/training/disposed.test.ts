import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { DisposedError } from "../platform/disposed.js";
import { useTestBackend } from "../testing/backend.js";
import { tinyTextToImage } from "../testing/tiny-text-to-image.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { AdamW } from "./adamw.js";
import { ParameterBuckets } from "./buckets.js";
import { Ema } from "./ema.js";
import { TrainableLora } from "./lora.js";
import { TrainableWord } from "./word.js";

beforeAll(useTestBackend);

type Uses = Record<string, () => unknown>;

/** Calls everything; every call must say that the thing was disposed of. */
async function expectDisposed(uses: Uses): Promise<void> {
  for (const [name, use] of Object.entries(uses)) {
    const error: unknown = await (async () => use())().catch((error: unknown) => error);
    expect({ [name]: error }).toEqual({ [name]: expect.any(DisposedError) });
    expect((error as Error).message).toMatch(/: it was disposed of; .*\.$/);
  }
}

/** Its methods, except those that stay of use: dispose itself, and those that read only the variables' shapes. */
function methodsOf(object: object, except: readonly string[] = []): string[] {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(object));
  return names.filter((name) => !["constructor", "dispose", ...except].includes(name)).sort();
}

describe("After dispose, every method says so, and nothing is left:", () => {
  it("of an optimizer, an average and the buckets of parameters", async () => {
    const before = tf.memory().numTensors;
    const weight = tf.tidy(() => tf.variable(tf.ones([3])));
    const parameters = new Map([["weight", weight]]);
    const gradient = tf.ones([3]);
    const buckets = new ParameterBuckets(parameters);
    const [adamw, ema] = [new AdamW(buckets), new Ema(buckets, 0.9)];
    const [moments, average] = [await adamw.state(), await ema.state()];
    for (const each of [adamw, ema, buckets, adamw, ema, buckets]) each.dispose();
    const ofAdamW: Uses = {
      step: () => adamw.step({ weight: gradient }, 1),
      update: () => adamw.update([gradient], 1),
      state: () => adamw.state(),
      load: () => adamw.load(moments),
    };
    const ofEma: Uses = {
      update: () => ema.update(),
      values: () => ema.values(),
      use: () => ema.use(() => 1),
      state: () => ema.state(),
      load: () => ema.load(average),
    };
    const ofBuckets: Uses = {
      values: () => buckets.values,
      assign: () => buckets.assign([gradient]),
      assignParts: () => buckets.assignParts([[gradient]]),
      join: () => buckets.join({ weight: gradient }),
      split: () => buckets.split([gradient]),
    };
    expect(Object.keys(ofAdamW).sort()).toEqual(methodsOf(adamw, ["steps"]));
    expect(Object.keys(ofEma).sort()).toEqual(methodsOf(ema));
    expect(Object.keys(ofBuckets).sort()).toEqual(
      methodsOf(buckets, ["parts", "group", "zeros", "read", "fromArrays"]),
    );
    for (const uses of [ofAdamW, ofEma, ofBuckets]) await expectDisposed(uses);
    tf.dispose([weight, gradient]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("of a LoRA and a word that are trained", async () => {
    const { unet, textEncoder, textEncoder2, tokenizer } = tinyTextToImage();
    const before = tf.memory().numTensors;
    const lora = new TrainableLora(unet as never, { noise: keyedNoise(0) });
    const word = new TrainableWord({ tokenizer, textEncoder, token: "<a>", like: "a" });
    for (const each of [lora, word, lora, word]) each.dispose();
    for (const each of [lora, word]) {
      const uses: Uses = {
        parameters: () => each.parameters(),
        within: () => each.within(() => tf.scalar(1)),
        save: () => each.save("/nowhere"),
      };
      expect(Object.keys(uses).sort()).toEqual(methodsOf(each));
      await expectDisposed(uses);
    }
    expect(tf.memory().numTensors).toBe(before);
    for (const network of [unet, textEncoder, textEncoder2] as { dispose(): void }[]) network.dispose();
  });

  it("of a safetensors file, from bytes too", async () => {
    const bytes = await encodeSafetensors(new Map([["a", { dtype: "F32", shape: [1], data: Float32Array.of(1) }]]));
    for (const from of [bytes, new Blob([bytes])]) {
      const file = await openSafetensors(from);
      const numbers = await file.read("a");
      await file.close();
      await file.close();
      expect([...numbers]).toEqual([1]);
      await expectDisposed({ read: () => file.read("a"), readBytes: () => file.readBytes("a") });
    }
  });
});

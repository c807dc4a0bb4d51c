import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { buildNetwork, type Network, type NetworkName, NETWORKS, TIMESTEP, TOKENS } from "../networks.js";
import { encodeOnnx } from "./encode.js";
import { unetToOnnx } from "./unet.js";

/** Numbers of one input or output, in ONNX's order of axes. */
export interface Numbers {
  dims: number[];
  data: Float32Array;
}

/** The data for another runner to do the same as ours: the inputs by name, and the expected output. */
export interface Reference {
  inputs: Record<string, Numbers>;
  output: Numbers;
}

/** Writes `name`.onnx and `name`.json into `folder`: the network as an ONNX graph, and one forward pass of ours. */
export async function writeReference(folder: string, name: NetworkName): Promise<void> {
  const network: Network = NETWORKS[name];
  const { model, x, context, predict } = buildNetwork(network);
  const size = network.config.sample_size;
  const graph = unetToOnnx(model, { batch: network.batch, height: size, width: size, tokens: TOKENS });
  const output = predict();
  const reference: Reference = {
    inputs: {
      x: numbers(x),
      timesteps: { dims: [network.batch], data: new Float32Array(network.batch).fill(TIMESTEP) },
      context: numbers(context),
    },
    output: numbers(output),
  };
  tf.dispose([x, context, output]);
  model.dispose();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.onnx`), encodeOnnx(graph));
  await writeFile(
    join(folder, `${name}.json`),
    JSON.stringify(reference, (_, value: unknown) => (value instanceof Float32Array ? [...value] : value)),
  );
}

export async function readReference(folder: string, name: string): Promise<Reference> {
  return JSON.parse(await readFile(join(folder, `${name}.json`), "utf8"), (key, value: unknown) =>
    key === "data" ? Float32Array.from(value as number[]) : value,
  ) as Reference;
}

/** Root mean square of the difference over that of `wanted`. */
export function relativeError(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    difference += (got[i]! - wanted[i]!) ** 2;
    size += wanted[i]! ** 2;
  }
  return got.length === wanted.length ? Math.sqrt(difference / size) : Infinity;
}

/** A tensor's numbers; those of a picture [B, H, W, C] as [B, C, H, W]. */
function numbers(tensor: tf.Tensor): Numbers {
  const turned = tensor.rank === 4 ? tensor.transpose([0, 3, 1, 2]) : tensor.clone();
  const data = turned.dataSync() as Float32Array;
  turned.dispose();
  return { dims: turned.shape, data };
}

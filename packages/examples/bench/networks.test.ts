import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core/backend";
import { kernelCosts } from "./kernel-costs.js";
import { buildNetwork, NETWORKS } from "./networks.js";

describe("NETWORKS", () => {
  beforeAll(() => useBackend("wasm", { record: false }));

  it.each(Object.entries(NETWORKS))("states the operations that %s needs", async (_, network) => {
    const { model, x, context, predict } = buildNetwork(network);
    const costs = await kernelCosts(predict, 1);
    expect(costs.reduce((sum, { flop }) => sum + flop, 0)).toBe(network.flop);
    model.dispose();
    tf.dispose([x, context]);
  });
});

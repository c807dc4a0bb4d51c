import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { inChromium } from "../testing/in-chromium.js";
import { streamsOnBackend } from "../testing/noise-streams.js";
import { useWasm } from "../testing/wasm.js";

const inBrowser = await inChromium<{ none?: string; backend?: string; streams?: number[][] }>(
  new URL("../testing/browser-page.ts", import.meta.url),
);
if (inBrowser.none !== undefined) console.info(`Streams in a browser are not tested: ${inBrowser.none}.`);

describe("keyed noise draws the same bits", () => {
  it("on the cpu and the wasm backend", async () => {
    await tf.setBackend("cpu");
    const onCpu = await streamsOnBackend();
    await useWasm();
    expect(tf.getBackend()).toBe("wasm");
    expect(await streamsOnBackend()).toEqual(onCpu);
  });

  // Skipped if no Chromium is installed.
  (inBrowser.none === undefined ? it : it.skip)("in Chromium, on WebGL", async () => {
    await tf.setBackend("cpu");
    const answer = inBrowser as { backend: string; streams: number[][] };
    expect(answer.backend).toBe("webgl");
    expect(answer.streams).toEqual(await streamsOnBackend());
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../testing/backend.js";
import { WeightsFormatError } from "../weights/errors.js";
import { CLIPImageProcessor, type CLIPImageProcessorConfig } from "./clip-image-processor.js";
import { resizeBicubic } from "./resize-bicubic.js";

beforeAll(useTestBackend);

/** numpy: (np.arange(height * width * 3) * step + offset) % 256, as pictures of 8 bits. */
function picture(height: number, width: number, step: number, offset = 0): tf.Tensor4D {
  const levels = Array.from({ length: height * width * 3 }, (_, i) => (i * step + offset) % 256);
  return tf.tensor4d(levels, [1, height, width, 3]).div(255);
}

const levels = (x: tf.Tensor) => Array.from(x.mul(255).dataSync(), (value) => Math.round(value));

describe("Bicubic resizing", () => {
  // Pillow 13: Image.fromarray(picture(5, 4, 37, 11)).resize((2, 3), Image.BICUBIC)
  it("reduces 8-bit pictures as Pillow does", () => {
    const small = resizeBicubic(picture(5, 4, 37, 11), 3, 2, { eightBit: true });
    const expected = [107, 126, 111, 129, 97, 138, 151, 126, 140, 129, 152, 127, 153, 122, 144, 120, 162, 130];
    expect(levels(small)).toEqual(expected);
  });

  // The same with (9, 7): the first row.
  it("enlarges them as Pillow does, and clips values outside the range", () => {
    const large = resizeBicubic(picture(5, 4, 37, 11), 7, 9, { eightBit: true });
    const row = [
      0, 26, 79, 13, 53, 103, 69, 125, 168, 133, 161, 197, 199, 84, 120, 237, 5, 42, 188, 41, 78, 110, 113, 150, 78,
      140, 177,
    ];
    expect(levels(large.slice([0, 0], [1, 1]))).toEqual(row);
    expect(large.shape).toEqual([1, 7, 9, 3]);
  });

  it("does not change pictures that have the size already, nor uniform areas of any size", () => {
    const x = picture(5, 4, 37);
    expect(resizeBicubic(x, 5, 4).dataSync()).toEqual(x.dataSync());
    const even = resizeBicubic(tf.fill([2, 5, 4, 1], 0.3), 11, 3);
    expect(even.max().sub(even.min()).dataSync()[0]).toBeLessThan(1e-6);
  });

  it("continues a slope in the middle of a larger picture", () => {
    const slope = tf.range(0, 12).reshape<tf.Tensor4D>([1, 1, 12, 1]);
    const large = resizeBicubic(slope, 1, 24).dataSync();
    for (let i = 6; i < 18; i++) expect(large[i]).toBeCloseTo((i + 0.5) / 2 - 0.5, 5);
  });
});

describe("CLIP's image processor", () => {
  // transformers 5.23.0: CLIPImageProcessorPil(**config)(picture(9, 12, 41)); the sums of x and of x times its index,
  // then the first and the last pixel
  const CASES: [Partial<CLIPImageProcessorConfig>, number[], number, number, number[], number[]][] = [
    [
      { size: { shortest_edge: 6 }, crop_size: { height: 4, width: 5 } },
      ...([[4, 5], 12.546876907348633, 403.56927793251816] as [number[], number, number]),
      [-0.24482932686805725, 0.31897497177124023, 0.18352796137332916],
      [0.2953125238418579, 0.09385836124420166, 0.2546282708644867],
    ],
    [
      { size: { height: 5, width: 4 }, crop_size: { height: 6, width: 7 } },
      ...([[6, 7], -100.0636215209961, -4891.494268133305] as [number[], number, number]),
      [-1.7922625541687012, -1.7520971298217773, -1.480219841003418],
      [-1.7922625541687012, -1.7520971298217773, -1.480219841003418],
    ],
    [
      { do_resize: false, crop_size: { height: 2, width: 3 }, do_normalize: false },
      ...([[2, 3], 8.392156600952148, 73.5686289165169] as [number[], number, number]),
      [0.21960784494876862, 0.3803921639919281, 0.5411764979362488],
      [0.9490196108818054, 0.10588235408067703, 0.2666666805744171],
    ],
  ];

  it.each(CASES)("agrees with transformers 5.23.0: %j", (config, size, sum, placed, first, last) => {
    const pixels = new CLIPImageProcessor(config).forward(picture(9, 12, 41));
    expect(pixels.shape).toEqual([1, ...size, 3]);
    const values = [...pixels.dataSync()];
    expect(values.reduce((a, b) => a + b)).toBeCloseTo(sum, 3);
    expect(values.reduce((a, b, i) => a + b * i, 0)).toBeCloseTo(placed, 2);
    first.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
    last.forEach((value, i) => expect(values.at(i - 3)).toBeCloseTo(value, 5));
  });

  it("leaves only its result", () => {
    const x = picture(9, 12, 41);
    const count = tf.memory().numTensors;
    new CLIPImageProcessor().forward(x);
    expect(tf.memory().numTensors).toBe(count + 1);
  });

  it("accepts old files with sizes as one number, and refuses other processors and settings by name", async () => {
    const old = new CLIPImageProcessor({ size: 6, crop_size: 4 });
    expect(old.forward(picture(9, 12, 41)).shape).toEqual([1, 4, 4, 3]);
    const folder = await mkdtemp(join(tmpdir(), "processor "));
    const write = (config: object) => writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(config));
    await expect(CLIPImageProcessor.fromFolder(folder)).rejects.toThrow(WeightsFormatError);
    await write({ image_processor_type: "ViTImageProcessor" });
    await expect(CLIPImageProcessor.fromFolder(folder)).rejects.toThrow('this is a "ViTImageProcessor"');
    await write({ feature_extractor_type: "CLIPFeatureExtractor", size: 30, crop_size: 28 });
    expect((await CLIPImageProcessor.fromFolder(folder)).outputSize).toEqual([28, 28]);
    await rm(folder, { recursive: true });
    for (const [config, message] of [
      [{ resample: 2 }, "resample is 2; expected 3"],
      [{ rescale_factor: 1 }, "rescale_factor is 1; expected 1 / 255"],
      [{ size: { longest_edge: 5 } }, 'size is {"longest_edge":5}'],
      [{ crop_size: 0 }, "crop_size is 0"],
      [{ image_std: [1] }, "image_std is [1]; expected 3 numbers"],
    ] as [Partial<CLIPImageProcessorConfig>, string][]) {
      expect(() => new CLIPImageProcessor(config)).toThrow(message);
    }
  });
});

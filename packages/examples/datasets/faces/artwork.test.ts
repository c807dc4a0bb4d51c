import { describe, expect, it } from "@jest/globals";
import { createAvatar } from "@dicebear/core";
import * as pixelArt from "@dicebear/pixel-art";
import { Resvg } from "@resvg/resvg-js";
import { bodyLayer, GRID, parseColor, partLayer } from "./artwork.js";

const OPTIONS = { glassesProbability: 100, hatProbability: 100, beardProbability: 0, accessoriesProbability: 0 };

/** The whole avatar drawn by resvg, a complete SVG renderer: RGBA bytes. */
function drawnByResvg(options: Record<string, unknown>): Uint8Array {
  const svg = createAvatar(pixelArt, { ...OPTIONS, ...options }).toString();
  return new Resvg(svg, { fitTo: { mode: "width", value: GRID } }).render().pixels;
}

/** Composites straight-alpha layers; returns premultiplied RGBA bytes. */
function stacked(layers: Float32Array[]): number[] {
  const result = new Array<number>(GRID * GRID * 4).fill(0);
  for (const layer of layers) {
    for (let i = 0; i < result.length; i++) {
      const alpha = layer[i | 3]!;
      result[i] = (i % 4 === 3 ? 255 * alpha : layer[i]! * alpha) + result[i]! * (1 - alpha);
    }
  }
  return result;
}

describe("the rasterised artwork", () => {
  it.each([
    {
      hair: "long15",
      hat: "variant03",
      glasses: "light07",
      clothing: "variant13",
      eyes: "variant01",
      mouth: "happy12",
    },
    { hair: "short11", hat: "variant06", glasses: "dark01", clothing: "variant06", eyes: "variant08", mouth: "sad09" },
    { hair: "long18", hat: "variant02", glasses: "dark07", clothing: "variant11", eyes: "variant09", mouth: "happy01" },
    { hair: "long01", hat: "variant07", glasses: "light05", clothing: "variant04", eyes: "variant01", mouth: "sad01" },
  ])("equals the output of a complete SVG renderer up to rounding: $hair, $glasses", (parts) => {
    const colors = {
      hair: "d2561e",
      hat: "2456b0",
      glasses: "191919",
      clothing: "8648b5",
      eyes: "3f8f4a",
      mouth: "de0f0d",
    };
    const options = Object.fromEntries(
      Object.entries(parts).flatMap(([part, variant]) => [
        [part, [variant]],
        [`${part}Color`, [colors[part as keyof typeof parts]]],
      ]),
    );
    const want = drawnByResvg({ ...options, skinColor: ["c4935f"] });
    const order = ["clothing", "eyes", "glasses", "mouth", "hair", "hat"] as const;
    const got = stacked([bodyLayer("c4935f"), ...order.map((part) => partLayer(part, parts[part], colors[part]))]);
    // resvg rounds to a byte after each of at most four translucent paths, half a unit each.
    expect(Math.max(...got.map((value, i) => Math.abs(value - want[i]!)))).toBeLessThanOrEqual(2);
  });

  it("paints beards opaque in the hair colour, because the artwork's mask would make a black beard vanish", () => {
    const beard = partLayer("beard", "variant05", "120e10");
    expect([...beard.subarray((11 * GRID + 8) * 4, (11 * GRID + 8) * 4 + 4)]).toEqual([0x12, 0x0e, 0x10, 1]);
  });

  it("replaces a fill, opaque", () => {
    const shirt = partLayer("clothing", "variant13", "d11a2a", { fill: "#fff", by: "f9a8a0" });
    expect([...shirt.subarray((14 * GRID + 6) * 4, (14 * GRID + 6) * 4 + 4)]).toEqual([...parseColor("f9a8a0"), 1]);
    expect([...shirt.subarray((14 * GRID + 7) * 4, (14 * GRID + 7) * 4 + 4)]).toEqual([...parseColor("d11a2a"), 1]);
  });

  it("refuses a part that the artwork does not have", () => {
    expect(() => partLayer("hat", "variant99", "ffffff")).toThrow('no hat "variant99"');
  });

  it("refuses a colour that is not hexadecimal", () => {
    expect(() => parseColor("reddish")).toThrow("rrggbb");
  });
});

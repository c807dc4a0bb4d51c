/**
 * A graphics card: `npm run bench -- card [--backend webgpu] [--peak 67] [--rounds 8] [--write]`.
 *
 * The two networks of the comparison and one of Stable Diffusion 1.5's size, forward and training step, then the
 * largest batch of each: doubled until the card is out of memory or a run takes longer than a minute. Every measurement
 * is a separate process. `--peak` is the manufacturer's float32 peak in TFLOP/s; without it, shares are relative to a
 * large matrix product.
 */
import { type Measured, measure } from "./measure.js";
import { CARD_NETWORKS } from "./networks.js";
import { machine, markdownTable, writeSection } from "./report.js";

const PRODUCT = "product 2048x2048x2048";
const PASSES = ["forward", "train step"];
const LONGEST_MS = 60_000;
const LARGEST = 1024;

export async function measureCard(
  backend: string,
  rounds: number,
  peak: number | undefined,
  write: boolean,
): Promise<void> {
  const missing = new Set<string>();
  const best = async (name: string, count = rounds): Promise<Measured | undefined> =>
    (await measure(name, [[backend, 1]], count, undefined, missing).catch(() => []))[0];
  const product = await best(PRODUCT);
  if (!product) throw new Error(`Nothing runs on the backend ${backend}. ${[...missing].join(" ")}`);
  const limit = peak === undefined ? product.flop / product.best : peak * 1e9;
  const rows: string[][] = [];
  for (const [network, { batch }] of Object.entries(CARD_NETWORKS)) {
    for (const pass of PASSES) {
      const at = (size: number, count?: number) => best(`batch ${network} ${size} ${pass}`, count);
      const found = await at(batch);
      const speed = found && found.flop / found.best;
      const row = [
        network,
        pass,
        String(batch),
        found?.best.toFixed(1),
        speed && (speed / 1e6).toFixed(0),
        speed && `${((100 * speed) / limit).toFixed(1)} %`,
      ];
      rows.push([...row.map((cell) => cell || "does not run"), found ? await largest(batch, at) : "none"]);
      console.log(rows.at(-1)!.join("  "));
    }
  }
  const of = peak === undefined ? `of ${(limit / 1e6).toFixed(0)} GFLOP/s, ${PRODUCT}` : `of ${peak} TFLOP/s`;
  const table = markdownTable(["network", "pass", "batch", "ms", "GFLOP/s", "share", "largest batch"], rows, [0, 1, 6]);
  const text = `${product.detail || backend} (${backend}), ${machine()}; ${new Date().toISOString().slice(0, 10)}; best of ${rounds}; share ${of}.\n\n${table}`;
  console.log(`\n${text}\n${[...missing].join("\n")}`);
  if (write) writeSection("npm run bench card", text);
}

/** The largest batch that runs, as text. */
async function largest(
  from: number,
  at: (size: number, count: number) => Promise<Measured | undefined>,
): Promise<string> {
  let size = from;
  while (size < LARGEST) {
    const found = await at(2 * size, 1);
    if (!found) return String(size);
    size *= 2;
    if (found.best > LONGEST_MS) break;
  }
  return `${size} or more`;
}

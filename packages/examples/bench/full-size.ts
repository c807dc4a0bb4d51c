/**
 * Stable Diffusion 1.5 at its full size, with random weights:
 *   npm run bench -- full-size [--backend node] [--folder FOLDER]
 *
 * Draws the weights of the UNet and the autoencoder one tensor at a time and writes them as float16 (1.9 GB, once),
 * then measures one UNet step at 64 x 64 latents and one decoding to 512 x 512 pixels, each in a separate process:
 * seconds, and the peak of resident memory.
 */
import { fork } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PartAnswer } from "./full-size-part.js";
import { machine } from "./report.js";

const PART = fileURLToPath(new URL("./full-size-part.js", import.meta.url));

/** @param backend default: the fastest of this machine */
export async function measureFullSize(backend = "", folder = join(tmpdir(), "full-size-sd15")): Promise<void> {
  console.log(`${machine()}; random weights in ${folder}`);
  const { loadSeconds, peakGiB } = await measured("write", folder, "");
  console.log(`weights: ${loadSeconds.toFixed(0)} s to draw and write, ${peakGiB.toFixed(1)} GiB at most`);
  for (const [part, what] of [
    ["unet", "one UNet step, 64 x 64 latents"],
    ["vae", "decoding to 512 x 512 pixels"],
  ] as const) {
    try {
      const { backend: used, loadSeconds, runSeconds, peakGiB } = await measured(part, folder, backend);
      const [first, second] = runSeconds.map((s) => s.toFixed(1));
      console.log(
        `${what} (${used}): ${second} s, the first time ${first} s; loading ${loadSeconds.toFixed(1)} s; ${peakGiB.toFixed(2)} GiB at most`,
      );
    } catch (error) {
      console.log(`${what} (${backend || "fastest"}): ${(error as Error).message}`);
    }
  }
}

function measured(part: string, folder: string, backend: string): Promise<PartAnswer> {
  return new Promise((resolve, reject) => {
    let said = "";
    const child = fork(PART, [part, folder, backend], { stdio: ["ignore", "inherit", "pipe", "ipc"] });
    child.stderr!.on("data", (text: Buffer) => (said += text.toString()));
    child.once("message", (answer) => resolve(answer as PartAnswer));
    child.once("exit", (code) => {
      const reason = said.split("\n").find((line) => /Error|memory|abort/i.test(line)) ?? said.slice(-300);
      reject(new Error(`the process ended with ${code}: ${reason.trim()}`));
    });
  });
}

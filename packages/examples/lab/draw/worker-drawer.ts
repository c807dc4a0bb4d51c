import { WorkerClient, type WorkerPicture } from "@tfjs-diffusion/core/worker";
import type { Drawer, Drawing, DrawnStep } from "./drawer.js";
import type { DrawingTasks } from "./drawing.worker.js";
import { type DrawInputs, type DrawSettings, FEW_STEPS } from "./settings.js";

/** Whole addresses of what the worker loads. */
export interface DrawerFiles {
  /** The folder of the model. */
  model: string;
  /** The LoRA for few steps, loaded when it is first used. */
  fewSteps: string;
  /** The folder of `tfjs-backend-wasm*.wasm`, ending in "/". */
  wasm: string;
}

/** Draws in a worker of this tab, on WebAssembly. */
export class WorkerDrawer implements Drawer {
  readonly #files: DrawerFiles;
  readonly #client = new WorkerClient<DrawingTasks>(
    new Worker(new URL("./drawing.worker.ts", import.meta.url), { type: "module", name: "drawing" }),
  );
  readonly #draw = this.#client.latest("draw");
  #scheduler: Readonly<Record<string, unknown>> = {};
  #fewSteps: Promise<void> | undefined;

  constructor(files: DrawerFiles) {
    this.#files = files;
  }

  async load(onProgress: (received: number) => void): Promise<string> {
    const { model, wasm } = this.#files;
    const { scheduler } = await this.#client.call(
      "load",
      { from: model, backend: "wasm", wasmPaths: wasm, threads: 1 },
      { onProgress: ({ received }) => onProgress(received) },
    );
    this.#scheduler = scheduler;
    return "in this tab, on WebAssembly";
  }

  async draw(
    settings: DrawSettings & DrawInputs,
    { signal, onStep }: { signal?: AbortSignal; onStep: (step: DrawnStep) => void },
  ): Promise<Drawing> {
    const { prompt, negativePrompt, guidanceScale, steps, sampler, seed, width, height } = settings;
    const { fewSteps, image, mask, strength } = settings;
    if (fewSteps) await this.#loadFewSteps();
    const { pictures, milliseconds } = await this.#draw(
      {
        prompt,
        numInferenceSteps: steps,
        torchSeed: seed,
        ...(fewSteps ? { guidanceScale: 1 } : { guidanceScale, negativePrompt }),
        ...(image ? { image, strength, ...(mask && { mask, pasteBack: true }) } : { width, height }),
        scheduler: { ...this.#scheduler, _class_name: fewSteps ? FEW_STEPS.sampler : sampler },
        ...(this.#fewSteps && { loras: { [FEW_STEPS.name]: Number(fewSteps) } }),
        watch: ["x", "x0"],
      },
      {
        signal,
        onProgress: ({ index, total, timestep, x, x0 }) =>
          onStep({ index, total, timestep, x: x![0]!, ...(x0 && { x0: x0[0]! }) }),
      },
    );
    return { picture: pictures[0]!, milliseconds };
  }

  async png(picture: WorkerPicture, settings: DrawSettings): Promise<Uint8Array<ArrayBuffer>> {
    const text = { settings: latin(JSON.stringify(settings)) };
    return Uint8Array.from(await this.#client.call("png", { picture, text }));
  }

  async tensors(): Promise<number> {
    return (await this.#client.call("memory", undefined)).numTensors;
  }

  close(): void {
    this.#client.close();
  }

  #loadFewSteps(): Promise<void> {
    const load = () => this.#client.call("addLora", { from: this.#files.fewSteps, name: FEW_STEPS.name, scale: 0 });
    this.#fewSteps ??= load().catch((error: unknown) => {
      this.#fewSteps = undefined;
      throw error;
    });
    return this.#fewSteps;
  }
}

/** JSON with escapes for all that is not ASCII, which a PNG's texts cannot hold. */
const latin = (json: string) =>
  json.replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);

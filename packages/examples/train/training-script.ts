import { join } from "node:path";
import { CLIPTokenizer, useBackend } from "@tfjs-diffusion/core";
import { type CLIPConfig } from "@tfjs-diffusion/core/models";
import { type TrainingStep } from "@tfjs-diffusion/core/training";
import { writeLossCurve } from "../src/cli/terminal/loss-curve.js";
import { stopOnInterrupt } from "../src/cli/terminal/interrupt.js";
import { withProgress } from "../src/cli/terminal/progress.js";
import type { FaceKind } from "../datasets/faces/index.js";
import { CLIP_LESSONS, type ClipSettings, trainClip } from "./clip.js";
import { type FixedParts, writeFixedParts } from "./folder.js";
import { scriptOptions } from "./script-options.js";
import type { StageFiles, StageSettings } from "./stage.js";

/** The model that a training script trains. */
interface TrainedModel<Settings> {
  /** Output goes to `runs/<name>`, or `runs/<name>-quick`, unless --out says otherwise. */
  name: string;
  settings: Record<"full" | "quick", Settings>;
  /** The files of the model that are not trained; a function where they depend on the settings. */
  parts: FixedParts | ((settings: Settings) => FixedParts);
}

/** A running script; the model's folder already has all files that are not trained. */
export interface TrainingScript<Settings> {
  readonly settings: Settings;
  readonly out: string;
  /** The model's folder. */
  readonly model: string;
  readonly tokenizer: CLIPTokenizer;
  /**
   * Trains a stage to its end, with a progress bar. Its checkpoint and log go to `out`, its result to `folder`. With
   * each checkpoint its loss curve is redrawn, and `show` is called, if given.
   */
  run(
    stage: string & keyof Settings,
    folder: string,
    train: (files: StageFiles) => AsyncIterable<TrainingStep>,
    show?: () => Promise<unknown>,
  ): Promise<void>;
}

/**
 * Reads the command line (--quick, --out, --backend), writes the files of the model that are not trained, and runs the
 * `stages`. Ctrl-C saves and stops.
 */
export async function trainingScript<Settings extends object>(
  { name, settings: all, parts }: TrainedModel<Settings>,
  stages: (script: TrainingScript<Settings>) => Promise<void>,
): Promise<void> {
  const { options } = scriptOptions({
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    backend: { type: "string" },
  });
  const settings = all[options.quick ? "quick" : "full"];
  const out = options.out ?? join("runs", options.quick ? `${name}-quick` : name);
  const model = join(out, "model");

  const { name: backend } = await useBackend(options.backend);
  console.log(`Training on the backend "${backend}", into ${out}.`);
  await writeFixedParts(model, typeof parts === "function" ? parts(settings) : parts);
  const tokenizer = await CLIPTokenizer.fromFolder(join(model, "tokenizer"));
  await stopOnInterrupt(async (signal) => {
    const run: TrainingScript<Settings>["run"] = async (stage, folder, train, show) => {
      const log = join(out, `${stage}.csv`);
      const steps = train({ checkpoint: join(out, `${stage}.checkpoint.safetensors`), log, folder, signal });
      const { steps: total, checkpointEvery } = settings[stage] as StageSettings;
      const drawCurve = () =>
        writeLossCurve(log, join(out, `${stage}.svg`), `${stage}: loss of each step, and its running mean`);
      for await (const { step } of withProgress(steps, { label: stage.padEnd(8), total })) {
        if (step % checkpointEvery !== 0 || step === total) continue;
        await drawCurve();
        await show?.();
      }
      await drawCurve();
    };
    await stages({ settings, out, model, tokenizer, run });
  });
}

/** Trains CLIP's lessons one after the other; returns the folder of the last one. */
export async function runClipLessons(
  { settings, tokenizer, out, run }: TrainingScript<ClipSettings>,
  clip: { kind: FaceKind; config: Partial<CLIPConfig> },
): Promise<string> {
  let from: string | undefined;
  for (const lesson of CLIP_LESSONS) {
    const folder = join(out, `clip-${lesson}`);
    await run(lesson, folder, (files) => trainClip({ settings, tokenizer, ...clip, ...files, lesson, from }));
    from = folder;
  }
  return from!;
}

/** The settings of a picture, as far as the text below has words for them. */
export interface PictureSettings {
  prompt?: string;
  negativePrompt?: string;
  numInferenceSteps?: unknown;
  guidanceScale?: unknown;
  strength?: unknown;
  seed: number;
  width: number;
  height: number;
  model: string;
  sampler: string;
}

/** A picture's settings in AUTOMATIC1111's text, which other programs read back from the PNG file. */
export function infoText(settings: PictureSettings): string {
  const { prompt = "", negativePrompt, width, height } = settings;
  const listedSettings = {
    Steps: settings.numInferenceSteps,
    Sampler: settings.sampler,
    "CFG scale": settings.guidanceScale,
    Seed: settings.seed,
    Size: `${width}x${height}`,
    Model: settings.model,
    "Denoising strength": settings.strength,
  };
  const listed = Object.entries(listedSettings).filter(([, value]) => value !== undefined);
  const lines = [
    prompt,
    ...(negativePrompt ? [`Negative prompt: ${negativePrompt}`] : []),
    listed.map(([name, value]) => `${name}: ${String(value)}`).join(", "),
  ];
  return lines.join("\n");
}

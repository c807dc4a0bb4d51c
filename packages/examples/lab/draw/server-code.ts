import type { DrawModel, DrawSettings } from "./settings.js";

/**
 * Commands that draw the same on a server: one for OpenAI's image API, which has no word for most settings, and one for
 * AUTOMATIC1111's.
 */
export function serverCode(server: URL, settings: DrawSettings, model: DrawModel) {
  const { prompt, negativePrompt, guidanceScale, steps, sampler, seed, width, height } = settings;
  const all = {
    prompt,
    ...(model.takes.negativePrompt && { negative_prompt: negativePrompt }),
    ...(model.takes.guidanceScale && { cfg_scale: guidanceScale }),
    ...{ steps, seed, width, height },
    ...(sampler !== model.sampler && { sampler_name: sampler }),
    override_settings: { sd_model_checkpoint: model.name },
  };
  return [
    [
      "OpenAI’s image API",
      curl(server, "v1/images/generations", { model: model.name, prompt, size: `${width}x${height}` }),
    ],
    ["AUTOMATIC1111’s API", curl(server, "sdapi/v1/txt2img", all)],
  ] as const;
}

function curl(server: URL, path: string, body: object): string {
  const json = JSON.stringify(body, undefined, 2).replaceAll("'", "'\\''");
  return `curl ${new URL(path, server).href} -H 'content-type: application/json' -d '${json}'`;
}

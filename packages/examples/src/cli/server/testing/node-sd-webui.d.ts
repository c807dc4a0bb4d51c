/** The package has types, but its `exports` hide them. */
declare module "node-sd-webui" {
  interface Drawn {
    images: string[];
    parameters: object;
    info: string;
  }
  interface Options {
    prompt: string;
    negativePrompt?: string;
    seed?: number;
    samplingMethod?: string;
    steps?: number;
    cfgScale?: number;
    batchSize?: number;
  }
  export default function sdwebui(props: { apiUrl: string }): {
    txt2img(options: Options): Promise<Drawn>;
    img2img(options: Options & { imageData: string[] }): Promise<Drawn>;
  };
}

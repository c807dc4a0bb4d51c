import type { Drawer, Drawing, DrawnStep, WorkerPicture } from "./drawer.js";
import { type DrawInputs, type DrawModel, type DrawSettings } from "./settings.js";

/** What the server says of a model: the part of `GET /models` that is used here. */
interface ServerModel {
  id: string;
  input: "text" | "image" | "class" | "nothing";
  width: number;
  height: number;
  options: readonly string[];
  steps: number;
  guidance: number;
  samplers: readonly string[];
  sampler: string;
}

/** An answer on `/live`. */
type Answer = { id: number } & (
  | { type: "preview"; png: string; step: number; steps: number; timestep: number }
  | { type: "picture"; png: string }
  | { type: "error"; message: string }
);

/** A drawing whose picture has not come yet. */
interface Wish {
  id: number;
  begun: number;
  /** Steps that it takes, as far as is known. */
  total: number;
  onStep: (step: DrawnStep) => void;
  resolve: (drawing: Drawing) => void;
  reject: (error: Error) => void;
}

/**
 * The models that a server draws from a text with.
 *
 * @param words the vocabularies of known models, by their names
 */
export async function serverModels(
  server: URL,
  words: Readonly<Record<string, readonly string[]>>,
): Promise<DrawModel[]> {
  const response = await fetch(new URL("models", server));
  if (!response.ok) throw new Error(`The server answers ${response.status} ${response.statusText}.`);
  const models = (await response.json()) as ServerModel[];
  return models.filter(({ input }) => input === "text").map((model) => drawModelOf(model, words[model.id]));
}

function drawModelOf(model: ServerModel, words: readonly string[] | undefined): DrawModel {
  const { id, width, height, steps, guidance, sampler, options } = model;
  const takes = (option: string) => options.includes(option);
  return {
    name: id,
    ...{ width, height, steps, sampler, guidanceScale: guidance },
    samplers: Object.fromEntries([sampler, ...model.samplers].map((name) => [name, name])),
    ...(words && { words }),
    takes: {
      negativePrompt: takes("negativePrompt"),
      guidanceScale: takes("guidanceScale"),
      image: takes("image"),
      mask: takes("mask"),
      fewSteps: false,
    },
  };
}

/** Draws on a server of this project, over its WebSocket `/live`. */
export class ServerDrawer implements Drawer {
  readonly #server: URL;
  readonly #models: ReadonlyMap<string, DrawModel>;
  /** The PNG files of the server's pictures. */
  readonly #files = new WeakMap<WorkerPicture, Uint8Array<ArrayBuffer>>();
  #socket: Promise<WebSocket> | undefined;
  #wish: Wish | undefined;
  /** Answers are read one after the other: reading a PNG file takes a while. */
  #reading: Promise<void> = Promise.resolve();
  #count = 0;

  constructor(server: URL, models: readonly DrawModel[]) {
    this.#server = server;
    this.#models = new Map(models.map((model) => [model.name, model]));
  }

  async load(): Promise<string> {
    await this.#connection();
    return `on ${this.#server.host}`;
  }

  async draw(
    settings: DrawSettings & DrawInputs,
    { signal, onStep }: { signal?: AbortSignal; onStep: (step: DrawnStep) => void },
  ): Promise<Drawing> {
    this.#end(new DOMException("A newer drawing has begun.", "AbortError"));
    const id = ++this.#count;
    const drawing = new Promise<Drawing>((resolve, reject) => {
      this.#wish = { id, begun: performance.now(), total: 1, onStep, resolve, reject };
    });
    signal?.addEventListener("abort", () => this.#wish?.id === id && this.#stop(signal.reason as Error));
    const sent = Promise.all([this.#connection(), messageOf(settings, this.#models)]).then(([socket, message]) => {
      // Else a newer drawing was asked for, or this one was stopped.
      if (this.#wish?.id === id) socket.send(JSON.stringify({ id, ...message }));
    });
    sent.catch((error: Error) => this.#wish?.id === id && this.#end(error));
    return drawing;
  }

  async png(picture: WorkerPicture): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#files.get(picture);
    if (!file) throw new Error("This picture was not drawn here.");
    return file;
  }

  close(): void {
    this.#end(new DOMException("The page is closed.", "AbortError"));
    void this.#socket?.then((socket) => socket.close());
  }

  /** The server has no message that only stops: it stops when the connection ends. */
  #stop(reason: Error): void {
    this.#end(reason);
    void this.#socket?.then((socket) => socket.close());
    this.#socket = undefined;
  }

  #end(error: Error): void {
    this.#wish?.reject(error);
    this.#wish = undefined;
  }

  #connection(): Promise<WebSocket> {
    this.#socket ??= new Promise<WebSocket>((resolve, reject) => {
      const address = new URL("live", this.#server);
      address.protocol = address.protocol.replace("http", "ws");
      const socket = new WebSocket(address);
      socket.onopen = () => resolve(socket);
      socket.onmessage = ({ data }) => {
        this.#reading = this.#reading.then(() => this.#read(JSON.parse(data as string) as Answer));
      };
      socket.onclose = ({ reason }) => {
        const error = new Error(reason || "The server does not answer. Is it still running?");
        reject(error);
        if (this.#socket !== connecting) return; // It was closed here, and perhaps opened again.
        this.#socket = undefined;
        this.#end(error);
      };
    });
    const connecting = this.#socket;
    return connecting;
  }

  async #read(answer: Answer): Promise<void> {
    const wish = this.#wish;
    if (answer.id !== wish?.id) return;
    if (answer.type === "error") return this.#end(new Error(answer.message));
    try {
      const file = Uint8Array.from(atob(answer.png), (letter) => letter.charCodeAt(0));
      const picture = await pictureOf(file);
      if (wish !== this.#wish) return;
      if (answer.type === "preview") {
        const { step, steps, timestep } = answer;
        wish.total = steps;
        return wish.onStep({ index: step - 1, total: steps, timestep, x: picture });
      }
      wish.onStep({ index: wish.total - 1, total: wish.total, timestep: 0, x: picture });
      this.#files.set(picture, file);
      this.#wish = undefined;
      wish.resolve({ picture, milliseconds: performance.now() - wish.begun });
    } catch (error) {
      if (wish === this.#wish) this.#end(error as Error);
    }
  }
}

/** The message that asks for a drawing. */
async function messageOf(settings: DrawSettings & DrawInputs, models: ReadonlyMap<string, DrawModel>) {
  const { model, prompt, negativePrompt, guidanceScale, steps, sampler, seed, width, height, image, mask } = settings;
  const { takes, sampler: own } = models.get(model)!;
  return {
    ...{ model, prompt, steps, seed, previews: steps - 1 },
    ...(takes.negativePrompt && negativePrompt !== "" && { negative_prompt: negativePrompt }),
    ...(takes.guidanceScale && { guidance: guidanceScale }),
    // The model's own sampler has settings of its own, which a name does not have.
    ...(sampler !== own && { sampler }),
    ...{ width, height },
    ...(image && { image: await base64Of(image), strength: settings.strength }),
    ...(image && mask && { mask: await base64Of(mask) }),
  };
}

async function pictureOf(png: Uint8Array<ArrayBuffer>): Promise<WorkerPicture> {
  const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }));
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function base64Of({ data, width, height }: WorkerPicture): Promise<string> {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}

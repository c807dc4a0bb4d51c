/** A mask as a client sends it, and which of its parts are drawn anew. */
export interface JobMask {
  /** The file, in base64. */
  data: string;
  /**
   * "transparent": where the file is transparent, as OpenAI has it. "white": where it is white, see `decodeMask`.
   * "black": the inverse of that.
   */
  redrawn: "transparent" | "white" | "black";
}

/** What a worker draws. Plain JSON, so that it can go to another thread or another machine. */
export interface DrawJob {
  model: string;
  /** How many pictures; picture i has the seed `seed + i`. */
  count: number;
  seed: number;
  /** How many previews of each picture to send. */
  previews: number;
  /** A PNG, JPEG or WebP file to start from, in base64. */
  image?: string;
  /** Where its shape is not the drawn one: cut its borders off (default), or stretch it. */
  fit?: "cut" | "stretch";
  mask?: JobMask;
  /** Without a mask, the transparent parts of the picture are drawn anew, if it has any. */
  isMaskedByAlpha?: boolean;
  /** Keys of a scheduler's config to use in place of the model's own, such as `_class_name`. */
  scheduler?: Readonly<Record<string, unknown>>;
  /** Options of the pipeline, named as in the library; numbers and texts only. */
  options: Readonly<Record<string, string | number | boolean>>;
}

/** One drawn picture. */
export interface DrawnPicture {
  /** The PNG file, in base64. */
  png: string;
  seed: number;
  width: number;
  height: number;
  /** The settings in one text, as AUTOMATIC1111 writes them; also in the PNG file. */
  text: string;
}

/** What is told while a job is drawn. */
export type DrawEvent =
  | { type: "step"; picture: number; step: number; steps: number; timestep: number; preview?: string }
  | { type: "picture"; index: number; picture: DrawnPicture };

/** What a model can do, as its worker found out when it drew a first picture. */
export interface ModelInfo {
  id: string;
  /** What it draws from. */
  input: "text" | "image" | "class" | "nothing";
  /** Its own size, in pixels. */
  width: number;
  height: number;
  /** The options that its pipeline takes. */
  options: readonly string[];
  /** Steps and guidance where a client gives none. */
  steps: number;
  guidance: number;
  /** The names of the samplers that work with its noise schedule; see {@link SAMPLERS}. */
  samplers: readonly string[];
  /** The name of its own sampler, or its class if it has no such name. */
  sampler: string;
}

/** A job that cannot be drawn as it was asked for: the client is told why. */
export class DrawRequestError extends Error {
  override name = "DrawRequestError";
}

/** There is no room for another job. */
export class QueueFullError extends Error {
  override name = "QueueFullError";
  constructor(
    message: string,
    /** When to try again, in seconds. */
    readonly retryAfter: number,
  ) {
    super(message);
  }
}

/** The server is about to end, or no worker is there. */
export class QueueClosedError extends Error {
  override name = "QueueClosedError";
}

/** How to wait for a job. */
export interface SubmitOptions {
  /** Who asks. Each client's jobs are drawn in turn with those of the others. */
  client: string;
  /** Takes the job out of the queue, or stops the drawing at its next step. */
  signal: AbortSignal;
  onEvent?: (event: DrawEvent) => void;
}

/** Draws jobs: in threads of this process, or on other machines. */
export interface JobQueue {
  /** The models that can be drawn with now. */
  models(): Promise<readonly ModelInfo[]>;
  /**
   * Resolves when all pictures are drawn.
   *
   * @throws QueueFullError, QueueClosedError; DrawRequestError for a job that cannot be drawn; the signal's reason
   */
  submit(job: DrawJob, options: SubmitOptions): Promise<readonly DrawnPicture[]>;
  /** Jobs that wait, and jobs that are drawn now. */
  state(): Promise<{ waiting: number; running: number }>;
  /** Refuses new jobs, and ends when those that run have ended or `grace` milliseconds are over. */
  close(grace: number): Promise<void>;
}

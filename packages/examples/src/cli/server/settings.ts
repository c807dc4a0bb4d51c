import type { WaitingLimits } from "./jobs/room.js";

/** The bounds of a server; each is an option of `serve`. */
export interface ServerLimits extends WaitingLimits {
  /** Most pictures of one request. */
  pictures: number;
  /** Most steps of a picture. */
  steps: number;
  /** Most pixels of a picture, as a multiple of the model's own number. */
  area: number;
  /** Most bytes of a request's body. */
  body: number;
  /** Most pixels of a picture that a client sends. */
  sentPixels: number;
  /** How long a client may take to send its request, in milliseconds. */
  requestTime: number;
  /** How long a drawn picture can be fetched by its URL, in seconds, and how many are kept. */
  keptSeconds: number;
  keptPictures: number;
  /** Most connections that draw live. */
  live: number;
}

export const LIMITS: ServerLimits = {
  waiting: 32,
  waitingOfOne: 8,
  pictures: 10,
  steps: 150,
  area: 16,
  body: 16 * 2 ** 20,
  sentPixels: 4096 * 4096,
  requestTime: 30_000,
  keptSeconds: 3600,
  keptPictures: 200,
  live: 8,
};

/** How a server is reached. */
export interface ServerSettings {
  host: string;
  port: number;
  /** If given, every request must send it: `Authorization: Bearer TOKEN`. */
  token?: string;
  /** Names, besides its own, under which the server is reached: the Host header must be one of them. */
  allowedHosts: readonly string[];
  /** Origins of pages, besides the server's own, that may send requests. */
  allowedOrigins: readonly string[];
  /** Other names of models, such as "dall-e-2". */
  aliases: ReadonlyMap<string, string>;
  limits: ServerLimits;
}

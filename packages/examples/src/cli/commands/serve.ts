import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { createServer } from "../server/app.js";
import { openQueue } from "../server/jobs/open-queue.js";
import { LIMITS, type ServerSettings } from "../server/settings.js";
import { ifGiven, oneOf, parseOptions, whole } from "../options/option-values.js";
import { UsageError } from "../options/usage-error.js";

export const SERVE_HELP = `Draws pictures over HTTP, asked for as OpenAI's image API or AUTOMATIC1111's API do.

  npm start -- serve                       the portraits, on http://127.0.0.1:7860
  npm start -- serve --model PATH          another model; give it again for several, the first is the default

  --port N             (default 7860; 0: any that is free)
  --host NAME          (default 127.0.0.1: this machine only). Any other needs --token
  --token TEXT         requests must send it: Authorization: Bearer TEXT. Or set DIFFUSION_TOKEN
  --allow-host NAME    another name of this server, beside localhost and --host; may be repeated
  --allow-origin URL   pages of this origin may use the server; may be repeated
  --alias NAME=MODEL   another name of a model, such as dall-e-2=portraits; may be repeated
  --threads N          how many pictures are drawn at once (default 1); each thread holds the models
  --waiting N          most requests that wait (default ${LIMITS.waiting}); more are told to try again later
  --waiting-of-one N   most of them of one client (default ${LIMITS.waitingOfOne})
  --pictures N         most pictures of a request (default ${LIMITS.pictures})
  --steps N            most steps of a picture (default ${LIMITS.steps})
  --area N             most pixels of a picture, as a multiple of the model's own size (default ${LIMITS.area})
  --backend NAME       ${BACKEND_NAMES.join(", ")} (default: the best that loads here)

With REDIS_URL in the environment, the pictures are drawn by other processes, on any machine:
  REDIS_URL=redis://localhost npm start -- worker --model portraits
`;

const TEXT = { type: "string" } as const;
const LIST = { type: "string", multiple: true } as const;
const OPTIONS = {
  model: LIST,
  port: { ...TEXT, default: "7860" },
  host: { ...TEXT, default: "127.0.0.1" },
  token: TEXT,
  "allow-host": LIST,
  "allow-origin": LIST,
  alias: LIST,
  threads: { ...TEXT, default: "1" },
  waiting: { ...TEXT, default: String(LIMITS.waiting) },
  "waiting-of-one": { ...TEXT, default: String(LIMITS.waitingOfOne) },
  pictures: { ...TEXT, default: String(LIMITS.pictures) },
  steps: { ...TEXT, default: String(LIMITS.steps) },
  area: { ...TEXT, default: String(LIMITS.area) },
  backend: TEXT,
  help: { type: "boolean", short: "h", default: false },
} as const;

/** `diffusion serve`: an image server. Ends at Ctrl-C or SIGTERM, when what is drawn is done. */
export async function serve(args: string[]): Promise<void> {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return console.log(SERVE_HELP);
  if (positionals.length > 0) throw new UsageError(`${positionals[0]}: serve takes no words; give a model by --model.`);
  const backend = ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]);
  const threads = whole("threads", values.threads, 1, 64);
  const models = values.model ?? ["portraits"];
  const settings = settingsOf(values, models);
  const { waiting, waitingOfOne } = settings.limits;
  const redis = process.env.REDIS_URL;
  const queue = await openQueue({ models, backend, threads, waiting, waitingOfOne }, redis);
  const app = await createServer(settings, queue);
  const address = await app.listen({ host: settings.host, port: settings.port });
  console.log(
    `Drawing on ${address} (OpenAI's API: ${address}/v1, AUTOMATIC1111's: ${address}/sdapi/v1). Ctrl-C ends it.`,
  );
  await stopSignal();
  console.log("Ending: what is drawn now is finished first. Ctrl-C again ends at once.");
  await app.close();
}

type Values = ReturnType<typeof parseOptions<typeof OPTIONS>>["values"];

function settingsOf(values: Values, models: readonly string[]): ServerSettings {
  const { host, token = process.env.DIFFUSION_TOKEN } = values;
  const isLoopback = ["127.0.0.1", "localhost", "::1"].includes(host);
  if (!isLoopback && !token) {
    throw new UsageError(`--host ${host}: other machines could draw here. Choose a secret, and give it by --token.`);
  }
  const limit = (option: "waiting" | "waiting-of-one" | "pictures" | "steps" | "area", most: number) =>
    whole(option, values[option], 1, most);
  return {
    host,
    port: whole("port", values.port, 0, 65_535),
    ...(token && { token }),
    allowedHosts: values["allow-host"] ?? [],
    allowedOrigins: (values["allow-origin"] ?? []).map(originOf),
    aliases: new Map((values.alias ?? []).map((text) => aliasOf(text, models))),
    limits: {
      ...LIMITS,
      waiting: limit("waiting", 100_000),
      waitingOfOne: limit("waiting-of-one", 100_000),
      pictures: limit("pictures", 1000),
      steps: limit("steps", 1000),
      area: limit("area", 10_000),
    },
  };
}

function originOf(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  if (origin !== "null" && origin === text.replace(/\/$/, "")) return origin;
  throw new UsageError(`--allow-origin ${text}: expected the start of a page's address, such as https://example.org.`);
}

function aliasOf(text: string, models: readonly string[]): [string, string] {
  const [, name, model] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && model !== undefined && models.includes(model)) return [name, model];
  throw new UsageError(`--alias ${text}: expected NAME=MODEL, with a model that --model names.`);
}

/** Resolves at Ctrl-C or SIGTERM. A second one ends the program at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve();
      });
    }
  });
}

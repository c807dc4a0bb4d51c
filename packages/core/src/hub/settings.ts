import type * as NodeOs from "node:os";
import { importInNode } from "../platform/node-only.js";
import { joinPath, readText } from "../platform/files.js";
import { HubError } from "./errors.js";

/** Address of the hub, folder of the cache, and the token. */
export interface HubSettings {
  /** Address of the hub, without a trailing slash. */
  endpoint: string;
  /** Folder of the cache, shared with Python's huggingface_hub. */
  cache: string;
  token: string | undefined;
  offline: boolean;
  /** A connection without any bytes for this many milliseconds is closed. */
  timeout: number;
  /** The download fails after this many failed attempts in a row that gained nothing. */
  attempts: number;
  /** Milliseconds before the second attempt; doubled before each further one. */
  pause: number;
}

const DEFAULT_TIMEOUT_SECONDS = 10;

/**
 * The settings from the environment variables of Python's huggingface_hub: HF_HOME, HF_HUB_CACHE, HF_TOKEN,
 * HF_TOKEN_PATH, HF_ENDPOINT, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT (seconds), XDG_CACHE_HOME.
 *
 * @throws HubError if the endpoint or the token is not valid
 */
export async function hubSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<HubSettings> {
  const { homedir } = await importInNode<typeof NodeOs>("node:os");
  const path = (text: string) => text.replace(/^~(?=$|[/\\])/, () => homedir());
  const user = environment.XDG_CACHE_HOME || joinPath(homedir(), ".cache");
  const home = path(environment.HF_HOME || joinPath(user, "huggingface"));
  const seconds = Number(environment.HF_HUB_DOWNLOAD_TIMEOUT || DEFAULT_TIMEOUT_SECONDS);
  return {
    endpoint: checkedEndpoint(environment.HF_ENDPOINT || "https://huggingface.co"),
    cache: path(environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE || joinPath(home, "hub")),
    token: checkedToken(
      environment.HF_TOKEN || (await storedToken(path(environment.HF_TOKEN_PATH || joinPath(home, "token")))),
    ),
    offline: /^(1|on|yes|true)$/i.test(environment.HF_HUB_OFFLINE ?? ""),
    timeout: 1000 * (seconds > 0 ? seconds : DEFAULT_TIMEOUT_SECONDS),
    attempts: 5,
    pause: 500,
  };
}

/** The token that `hf auth login` stored. */
function storedToken(path: string): Promise<string | undefined> {
  return readText(path).catch(() => undefined);
}

/** Checks a token here, because `fetch` would refuse other characters with a message that contains the token. */
function checkedToken(text: string | undefined): string | undefined {
  const token = text?.trim();
  if (!token) return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new HubError(
    "request",
    "The token for the hub (HF_TOKEN) has spaces, line breaks or letters that tokens cannot have. Copy it again from https://huggingface.co/settings/tokens.",
  );
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (isPlain) return url.href.replace(/\/+$/, "");
  throw new HubError(
    "request",
    "HF_ENDPOINT must be an address such as https://huggingface.co, without user name, password, ? or #. Correct or unset it.",
  );
}

import type * as Hub from "@huggingface/hub";
import { importInNode } from "../platform/node-only.js";
import { HubError } from "./errors.js";
import { request, retrying, shown } from "./request.js";
import type { HubSettings } from "./settings.js";

/** A file of a model on the hub. */
export interface HubFile {
  /** Inside the model, with "/". */
  path: string;
  /** Bytes. */
  size: number;
  /** By which its contents are checked: SHA-256 of large files; git's SHA-1, which counts a header in, of others. */
  hash: { kind: "sha256" | "git-sha1"; hex: string };
}

/** A revision of a model: the commit, and what it holds. */
export interface HubRevision {
  commit: string;
  files: HubFile[];
}

/** Answers of the hub's listing larger than this are refused: the largest repositories list 10 MB. */
const MOST_BYTES = 2 ** 26;
/** A thousand entries are on a page. */
const MOST_PAGES = 100;

/** Asks the hub what a revision is and holds. */
export async function listRevision(
  name: string,
  revision: string,
  settings: HubSettings,
  signal?: AbortSignal,
): Promise<HubRevision> {
  const hub = await importInNode<typeof Hub>("@huggingface/hub");
  const { endpoint: hubUrl } = settings;
  let pages = 0;
  // The token is not given to the package: its requests go through ours, which knows where the token may go.
  const fetch: typeof globalThis.fetch = async (input) => {
    const address = input instanceof Request ? input.url : String(input);
    if (++pages > MOST_PAGES) throw nonsense(address, `lists more than ${MOST_PAGES} pages`);
    return retrying(settings, signal, () => wholeAnswer(address, settings, signal));
  };
  const at = `${hubUrl}/api/models/${name}/revision/${revision}`;
  try {
    const { sha } = await hub.modelInfo({ name, revision, hubUrl, fetch, additionalFields: ["sha"] });
    if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha)) throw nonsense(at, "names no commit");
    const files: HubFile[] = [];
    for await (const entry of hub.listFiles({ repo: name, recursive: true, revision: sha, hubUrl, fetch })) {
      if (entry.type === "file") files.push(checkedFile(entry, at));
    }
    return { commit: sha, files };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw nonsense(at, `is no listing of a model`);
  }
}

/** An answer with all its bytes there. */
function wholeAnswer(address: string, settings: HubSettings, signal: AbortSignal | undefined): Promise<Response> {
  return request(address, settings, { signal }, async ({ status, headers }, body) => {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > MOST_BYTES) throw nonsense(address, `has more than ${MOST_BYTES / 2 ** 20} MiB`);
      chunks.push(chunk as Uint8Array<ArrayBuffer>);
    }
    return new Response(status === 204 ? null : new Blob(chunks), { status, headers });
  });
}

function checkedFile({ path, size, oid, lfs }: Hub.ListFileEntry, at: string): HubFile {
  if (!isSafePath(path)) {
    throw nonsense(at, `lists a file with the path ${JSON.stringify(path)}, which leads elsewhere`);
  }
  const bytes = lfs?.size ?? size;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw nonsense(at, `gives ${path} no size`);
  const kind = lfs ? "sha256" : "git-sha1";
  const hex = lfs ? lfs.oid : oid;
  if (typeof hex !== "string" || !(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hex)) {
    throw nonsense(at, `gives ${path} no hash to check it by`);
  }
  return { path, size: bytes, hash: { kind, hex } };
}

/** Names of files that stay in the folder they are put in, on every system. */
function isSafePath(path: unknown): path is string {
  if (typeof path !== "string" || path.length > 1024 || /[\\:\p{Cc}]/u.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function nonsense(address: string, what: string): HubError {
  return new HubError(
    "damaged",
    `${shown(address)}: the hub's answer ${what}. Check HF_ENDPOINT: is it a hub? A login page or proxy may answer in its place.`,
  );
}

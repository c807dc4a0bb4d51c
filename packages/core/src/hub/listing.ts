import { parseShallowJson } from "../platform/nesting.js";
import { HubError } from "./errors.js";
import { request, retrying, shown } from "./request.js";
import type { HubSettings } from "./settings.js";

/** A file of a model on the hub. */
export interface HubFile {
  /** Path inside the model, with "/". */
  path: string;
  /** Bytes. */
  size: number;
  /**
   * The hash its contents are checked by: SHA-256 for large files, git's SHA-1 (which includes a header) for others.
   */
  hash: { kind: "sha256" | "git-sha1"; hex: string };
}

/** A revision of a model: its commit and its files. */
export interface HubRevision {
  commit: string;
  files: HubFile[];
}

/** Answers of the hub's listing larger than this are refused: the largest repositories list 10 MB. */
const MOST_BYTES = 2 ** 26;
/** A page has a thousand entries. */
const MOST_PAGES = 100;

/** A file as the hub lists it. Every field is checked before it is used. */
interface Entry {
  type?: unknown;
  path?: unknown;
  size?: unknown;
  oid?: unknown;
  /** For large files, whose own `oid` is that of a pointer file. */
  lfs?: { size?: unknown; oid?: unknown } | null;
}

/** Asks the hub for the commit and the files of a revision (https://huggingface.co/docs/hub/api). */
export async function listRevision(
  name: string,
  revision: string,
  settings: HubSettings,
  signal?: AbortSignal,
): Promise<HubRevision> {
  const model = `${settings.endpoint}/api/models/${name}`;
  const at = `${model}/revision/${revision}`;
  const ask = async (address: string) => {
    const { text, nextPage } = await retrying(settings, signal, () => answer(address, settings, signal));
    try {
      return { value: parseShallowJson(text), nextPage };
    } catch {
      throw nonsense(at, "is not a listing of a model");
    }
  };
  const info = await ask(`${model}/revision/${encodeURIComponent(revision)}?expand=sha`);
  const { sha: commit } = (info.value ?? {}) as { sha?: unknown };
  if (typeof commit !== "string" || !/^[0-9a-f]{40}$/.test(commit)) throw nonsense(at, "names no commit");
  const files: HubFile[] = [];
  let next: string | undefined = `${model}/tree/${commit}?recursive=true`;
  for (let page = 1; next !== undefined; page++) {
    if (page > MOST_PAGES) throw nonsense(next, `lists more than ${MOST_PAGES} pages`);
    const { value, nextPage } = await ask(next);
    if (!Array.isArray(value) || value.some((entry) => typeof entry !== "object" || entry === null)) {
      throw nonsense(at, "is not a listing of a model");
    }
    for (const entry of value as Entry[]) if (entry.type === "file") files.push(checkedFile(entry, at));
    next = nextPage;
  }
  return { commit, files };
}

/** The text of one answer, and the address of the next page where its Link header gives one. */
function answer(
  address: string,
  settings: HubSettings,
  signal: AbortSignal | undefined,
): Promise<{ text: string; nextPage: string | undefined }> {
  return request(address, settings, { signal }, async ({ headers }, body) => {
    const decoder = new TextDecoder();
    let [text, size] = ["", 0];
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > MOST_BYTES) throw nonsense(address, `has more than ${MOST_BYTES / 2 ** 20} MiB`);
      text += decoder.decode(chunk, { stream: true });
    }
    return { text, nextPage: /<(https?:[/][/][^>]+)>;\s*rel="next"/.exec(headers.get("link") ?? "")?.[1] };
  });
}

function checkedFile({ path, size, oid, lfs }: Entry, at: string): HubFile {
  if (!isSafePath(path)) {
    throw nonsense(at, `lists a file with the path ${JSON.stringify(path)}, which leads out of the folder`);
  }
  const bytes = lfs?.size ?? size;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) throw nonsense(at, `gives ${path} no size`);
  const kind = lfs ? "sha256" : "git-sha1";
  const hex = lfs ? lfs.oid : oid;
  if (typeof hex !== "string" || !(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hex)) {
    throw nonsense(at, `gives ${path} no hash to check it by`);
  }
  return { path, size: bytes as number, hash: { kind, hex } };
}

/** Whether a path stays inside the folder that it is joined to, on every system. */
function isSafePath(path: unknown): path is string {
  if (typeof path !== "string" || path.length > 1024 || /[\\:\p{Cc}]/u.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function nonsense(address: string, what: string): HubError {
  return new HubError(
    "damaged",
    `${shown(address)}: the hub's answer ${what}. Check HF_ENDPOINT: is it a hub? A login page or a proxy may have answered instead.`,
  );
}

import { fileExists, joinPath, nodeFiles, readText } from "../platform/files.js";
import { parseShallowJson } from "../platform/nesting.js";
import { writeText } from "../platform/write-files.js";
import { warn } from "../platform/warn.js";
import { fetchBlob, onDisk } from "./blob.js";
import { HubError } from "./errors.js";
import { type HubFile, type HubRevision, listRevision } from "./listing.js";
import { isHubName } from "./name.js";
import { type FileSelection, selectFiles } from "./select-files.js";
import { type HubSettings, hubSettings } from "./settings.js";

/** Progress of a download. */
export interface HubProgress {
  /** The file being downloaded, as the model names it. */
  file: string;
  /** Bytes received, of all files together. */
  received: number;
  /** Bytes of all files together. */
  total: number;
}

/** What to download, and how. */
export interface HubOptions extends FileSelection {
  /** A branch, a tag or a commit. Default "main". */
  revision?: string;
  /** Access token, for private and gated models. Default: HF_TOKEN, or the token that `hf auth login` stored. */
  token?: string;
  /** Stops the download; the bytes received are kept for the next one. */
  signal?: AbortSignal;
  /**
   * Called whenever bytes arrive. It may be asynchronous: the download waits for it. An error that it throws ends the
   * download.
   */
  onProgress?: (progress: HubProgress) => unknown;
}

/**
 * Downloads a model from the Hugging Face hub and returns its folder. Files that are in the cache already are not
 * downloaded again. The cache is that of Python's huggingface_hub (`models--owner--name/snapshots/<commit>`), and
 * shared with it. Node only.
 *
 * HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE work as in Python. Every file is checked by size and
 * hash before it gets its name. Interrupted downloads are resumed, and any number of processes may download the same
 * model at once. If the hub cannot be reached, the model is taken from the cache, with a warning.
 *
 * @throws HubError, whose `failure` says why; PlatformError in a browser
 */
export async function downloadFromHub(name: string, options: HubOptions = {}): Promise<string> {
  await nodeFiles(`Downloading ${name}`);
  const { token = process.env.HF_TOKEN } = options;
  return downloadWith(await hubSettings({ ...process.env, HF_TOKEN: token }), name, options);
}

/** {@link downloadFromHub} with given settings in place of the environment's. */
export async function downloadWith(settings: HubSettings, name: string, options: HubOptions = {}): Promise<string> {
  const { revision = "main", signal } = options;
  checkName(name);
  checkRevision(revision);
  signal?.throwIfAborted();
  const folder = joinPath(settings.cache, `models--${name.replace("/", "--")}`);
  const query = { folder, name, revision, selection: options };
  if (settings.offline) return cached(settings, query);
  let found: HubRevision;
  try {
    found = await listRevision(name, revision, settings, signal);
  } catch (error) {
    const isAway = error instanceof HubError && ["connection", "server", "rate-limited"].includes(error.failure);
    if (!isAway) throw error;
    const there = await cached(settings, query).catch(() => undefined);
    if (there === undefined) throw error;
    warn(`${error.message} Taken from the cache instead: ${there}.`);
    return there;
  }
  const { commit } = found;
  const files = selectFiles(found.files, options, `${settings.endpoint}/${name}/tree/${revision}`);
  const snapshot = joinPath(folder, "snapshots", commit);
  try {
    await fetchAll(files, { settings, name, commit, folder, snapshot, options });
    await writeText(listingPath(folder, commit), JSON.stringify(found.files));
    // Written last, so that a ref only ever names a complete snapshot.
    if (revision !== commit) await writeText(joinPath(folder, "refs", revision), commit);
  } catch (error) {
    throw onDisk(error, { address: `${settings.endpoint}/${name}`, folder });
  }
  return snapshot;
}

interface SnapshotRequest {
  settings: HubSettings;
  name: string;
  commit: string;
  folder: string;
  snapshot: string;
  options: HubOptions;
}

async function fetchAll(
  files: readonly HubFile[],
  { settings, name, commit, folder, snapshot, options }: SnapshotRequest,
) {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const { onProgress, signal } = options;
  const locks = joinPath(settings.cache, ".locks", `models--${name.replace("/", "--")}`);
  let before = 0;
  for (const file of files) {
    const path = file.path.split("/").map(encodeURIComponent).join("/");
    const address = `${settings.endpoint}/${name}/resolve/${commit}/${path}`;
    const onBytes = (bytes: number) => onProgress?.({ file: file.path, received: before + bytes, total });
    const blob = await fetchBlob({ address, file, folder, locks, signal, onBytes }, settings);
    await point(joinPath(snapshot, file.path), blob, file);
    before += file.size;
  }
}

/** Makes `path` in a snapshot a relative link to a blob, or a copy where the system allows no links. */
async function point(path: string, blob: string, { path: inside, hash }: HubFile): Promise<void> {
  const { copyFile, mkdir, readlink, rename, rm, symlink } = await nodeFiles(`Writing ${path}`);
  const target = joinPath("../".repeat(inside.split("/").length + 1), "blobs", hash.hex);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  await mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await symlink(target, temporary).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EPERM" && error.code !== "ENOTSUP") throw error;
      return copyFile(blob, temporary);
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** What to look for in the cache. */
interface CacheQuery {
  folder: string;
  name: string;
  revision: string;
  selection: FileSelection;
}

/** The folder of a revision that was downloaded before, with all selected files. */
async function cached({ cache, endpoint }: HubSettings, query: CacheQuery): Promise<string> {
  const { folder, name, revision } = query;
  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  const named = isCommit ? revision : await readText(joinPath(folder, "refs", revision)).catch(() => "");
  const commit = /^[0-9a-f]{40}$/.exec(named.trim())?.[0];
  const snapshot = commit && joinPath(folder, "snapshots", commit);
  const isThere = snapshot !== undefined && (await fileExists(snapshot));
  const missing = isThere ? await missingFile(`${endpoint}/${name}`, query, commit!) : `the revision ${revision} of it`;
  if (missing === undefined) return snapshot!;
  throw new HubError(
    "offline",
    `${endpoint}/${name}: HF_HUB_OFFLINE is set, and the cache ${cache} does not have ${missing}. ` +
      "Unset HF_HUB_OFFLINE to download it, or set HF_HOME or HF_HUB_CACHE to the cache that has it.",
  );
}

/** The listing of a commit, kept for when the hub cannot be reached. */
const listingPath = (folder: string, commit: string) => joinPath(folder, "tfjs-listings", `${commit}.json`);

/**
 * The first selected file that is missing because an earlier download selected others. Undefined if none is missing, or
 * if that is unknown: Python keeps no listing.
 */
async function missingFile(at: string, { folder, selection }: CacheQuery, commit: string): Promise<string | undefined> {
  const files = await readText(listingPath(folder, commit)).then(listedFiles, () => undefined);
  if (files === undefined) return undefined;
  for (const { path } of selectFiles(files, selection, at))
    if (!(await fileExists(joinPath(folder, "snapshots", commit, path)))) return path;
  return undefined;
}

/** The files of a listing in the cache; undefined if it is damaged. */
function listedFiles(text: string): HubFile[] | undefined {
  try {
    const files = parseShallowJson(text);
    const isFile = (file: unknown) => typeof (file as Partial<HubFile> | null)?.path === "string";
    return Array.isArray(files) && files.every(isFile) ? (files as HubFile[]) : undefined;
  } catch {
    return undefined;
  }
}

function checkName(name: string): void {
  if (isHubName(name)) return;
  throw new HubError(
    "request",
    `${JSON.stringify(name)} is not the name of a model on the hub: expected "owner/name", such as "stabilityai/sd-turbo".`,
  );
}

function checkRevision(revision: string): void {
  if (/^[\w][\w.-]*(\/[\w][\w.-]*)*$/.test(revision) && !revision.includes("..")) return;
  throw new HubError(
    "request",
    `${JSON.stringify(revision)} is not a revision: give a branch, a tag or the 40 digits of a commit.`,
  );
}

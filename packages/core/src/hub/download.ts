import { fileExists, joinPath, nodeFiles, readText, writeText } from "../platform/files.js";
import { warn } from "../platform/warn.js";
import { fetchBlob, onDisk } from "./blob.js";
import { HubError } from "./errors.js";
import { type HubFile, type HubRevision, listRevision } from "./listing.js";
import { type FileSelection, selectFiles } from "./select-files.js";
import { type HubSettings, hubSettings } from "./settings.js";

/** How far a download is. */
export interface HubProgress {
  /** The file that is coming, as the model names it. */
  file: string;
  /** Bytes of all wanted files that are there. */
  received: number;
  /** Bytes of all wanted files. */
  total: number;
}

/** What to download, and whom to tell. */
export interface HubOptions extends FileSelection {
  /** A branch, a tag or a commit. Default "main". */
  revision?: string;
  /** Who asks, for models that are private or gated. Default: HF_TOKEN, or what `hf auth login` left. */
  token?: string;
  /** Stops the download; what has come is kept for the next one. */
  signal?: AbortSignal;
  /** Called with every piece that comes. */
  onProgress?: (progress: HubProgress) => void;
}

/**
 * Downloads a model of the Hugging Face hub by its name, as far as it is not in the cache yet, and gives the folder
 * where it lies: that of Python's huggingface_hub (`models--owner--name/snapshots/<commit>`), which shares what is
 * there. In Node alone.
 *
 * HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE count as in Python. Every file is checked by size and
 * hash before it gets its name; what broke off is gone on with; any number of processes may ask for the same at once.
 * If the hub cannot be reached, what is in the cache is given.
 *
 * @throws HubError says why by its `failure`; PlatformError in a browser
 */
export async function downloadFromHub(name: string, options: HubOptions = {}): Promise<string> {
  await nodeFiles(`Downloading ${name}`);
  const { token = process.env.HF_TOKEN } = options;
  return downloadWith(await hubSettings({ ...process.env, HF_TOKEN: token }), name, options);
}

/** {@link downloadFromHub} with settings that are not the environment's. */
export async function downloadWith(settings: HubSettings, name: string, options: HubOptions = {}): Promise<string> {
  const { revision = "main", signal } = options;
  checkName(name);
  checkRevision(revision);
  signal?.throwIfAborted();
  const folder = joinPath(settings.cache, `models--${name.replace("/", "--")}`);
  const place = { folder, name, revision, wishes: options };
  if (settings.offline) return cached(settings, place);
  let found: HubRevision;
  try {
    found = await listRevision(name, revision, settings, signal);
  } catch (error) {
    const isAway = error instanceof HubError && ["connection", "server", "rate-limited"].includes(error.failure);
    if (!isAway) throw error;
    const there = await cached(settings, place).catch(() => undefined);
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
    // Last, so that a revision that is known by its name is whole.
    if (revision !== commit) await writeText(joinPath(folder, "refs", revision), commit);
  } catch (error) {
    throw onDisk(error, { address: `${settings.endpoint}/${name}`, folder });
  }
  return snapshot;
}

interface Place {
  settings: HubSettings;
  name: string;
  commit: string;
  folder: string;
  snapshot: string;
  options: HubOptions;
}

async function fetchAll(files: readonly HubFile[], { settings, name, commit, folder, snapshot, options }: Place) {
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

/** Makes `path` in a snapshot stand for a blob: a relative link, or a copy where the system allows no links. */
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

/** What is looked for in the cache. */
interface CachedPlace {
  folder: string;
  name: string;
  revision: string;
  wishes: FileSelection;
}

/** The folder of a revision that was downloaded before, with all that is wished for. */
async function cached({ cache, endpoint }: HubSettings, place: CachedPlace): Promise<string> {
  const { folder, name, revision } = place;
  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  const named = isCommit ? revision : await readText(joinPath(folder, "refs", revision)).catch(() => "");
  const commit = /^[0-9a-f]{40}$/.exec(named.trim())?.[0];
  const snapshot = commit && joinPath(folder, "snapshots", commit);
  const isThere = snapshot !== undefined && (await fileExists(snapshot));
  const missing = isThere ? await missingFile(`${endpoint}/${name}`, place, commit!) : `the revision ${revision} of it`;
  if (missing === undefined) return snapshot!;
  throw new HubError(
    "offline",
    `${endpoint}/${name}: HF_HUB_OFFLINE is set, and the cache ${cache} does not hold ${missing}. ` +
      "Unset HF_HUB_OFFLINE to download it, or set HF_HOME or HF_HUB_CACHE to the cache that has it.",
  );
}

/** What a commit holds, kept for when the hub cannot be asked. */
const listingPath = (folder: string, commit: string) => joinPath(folder, "tfjs-listings", `${commit}.json`);

/**
 * The first wished-for file that an earlier download, with other wishes, left out; undefined where that is not known:
 * Python keeps no listing.
 */
async function missingFile(at: string, { folder, wishes }: CachedPlace, commit: string): Promise<string | undefined> {
  const text = await readText(listingPath(folder, commit)).catch(() => undefined);
  if (text === undefined) return undefined;
  for (const { path } of selectFiles(JSON.parse(text) as HubFile[], wishes, at))
    if (!(await fileExists(joinPath(folder, "snapshots", commit, path)))) return path;
  return undefined;
}

const PART = "[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9_])?";
const NAME = new RegExp(`^${PART}/${PART}$`);

/** Whether a text can be a model's name on the hub, "owner/name". */
export function isHubName(text: string): boolean {
  return NAME.test(text) && text.length <= 96 && !/--|\.\./.test(text);
}

function checkName(name: string): void {
  if (isHubName(name)) return;
  throw new HubError(
    "request",
    `${JSON.stringify(name)} is no name of a model on the hub: "owner/name" is expected, such as "stabilityai/sd-turbo".`,
  );
}

function checkRevision(revision: string): void {
  if (/^[\w][\w.-]*(\/[\w][\w.-]*)*$/.test(revision) && !revision.includes("..")) return;
  throw new HubError(
    "request",
    `${JSON.stringify(revision)} is no revision: give a branch, a tag or a commit's 40 digits.`,
  );
}

/**
 * A model's folder whose files are at addresses of their own, as a bundler places them: the address of each file by its
 * path in the folder, such as `{ "unet/config.json": new URL("./unet/config.json", import.meta.url) }`. The npm
 * packages of trained models export one.
 */
export type ModelFiles = Readonly<Record<string, string | URL>>;

/** Where a model is: the path of a folder, its address, the addresses of its files, or "owner/name" on the hub. */
export type ModelPlace = string | URL | ModelFiles;

/** Begins the name of a folder that stands for a {@link ModelFiles}. */
const SCHEME = "model-files:";

const known: ModelFiles[] = [];

/** Whether `from` has the form of a {@link ModelFiles}. */
export function isModelFiles(from: unknown): from is ModelFiles {
  if (typeof from !== "object" || from === null) return false;
  const prototype: unknown = Object.getPrototypeOf(from);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const addresses = Object.values(from);
  return addresses.length > 0 && addresses.every((address) => typeof address === "string" || address instanceof URL);
}

/**
 * A name for the folder, to which names of files can be appended as to a path. If the files lie in one folder of the
 * disk under these paths, as in Node, it is the address of this folder; otherwise a name that {@link fileAddress}
 * reads.
 */
export function folderOfFiles(files: ModelFiles): string {
  const folders = new Set(Object.entries(files).map(([path, address]) => folderOnDisk(path, String(address))));
  const [folder] = folders;
  if (folders.size === 1 && folder !== undefined) return folder;
  if (!known.includes(files)) known.push(files);
  return `${SCHEME}${known.indexOf(files)}`;
}

function folderOnDisk(path: string, address: string): string | undefined {
  const end = `/${encodeURI(path)}`;
  return /^file:/i.test(address) && address.endsWith(end) ? address.slice(0, -end.length) : undefined;
}

/** The address of a file in such a folder; undefined if the folder has no such file. Other paths stay as they are. */
export function fileAddress(path: string): string | undefined {
  const [files, name] = fileIn(path);
  if (files === undefined) return path;
  return Object.hasOwn(files, name) ? String(files[name]) : undefined;
}

/** The names in such a folder; undefined for other paths. */
export function namesInFiles(path: string): string[] | undefined {
  const [files, folder] = fileIn(path);
  if (files === undefined) return undefined;
  const inside = folder === "" ? "" : `${folder.replace(/\/$/, "")}/`;
  const paths = Object.keys(files).filter((name) => name.startsWith(inside));
  return [...new Set(paths.map((name) => name.slice(inside.length).split("/")[0]!))];
}

function fileIn(path: string): [files: ModelFiles | undefined, name: string] {
  const [, number, name = ""] = /^model-files:(\d+)(?:\/(.*))?$/.exec(path) ?? [];
  return [number === undefined ? undefined : known[Number(number)], name];
}

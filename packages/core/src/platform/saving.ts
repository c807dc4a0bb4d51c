/**
 * The functions that save folders. Import this file with `await import()` when something is saved: a page that only
 * draws then does not load them.
 */
export { replaceFolder } from "./replace-folder.js";
export { removeFiles, removeFolder, writeText } from "./write-files.js";

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

/** The variable CHROMIUM, or the first Chromium or Chrome on the PATH; undefined also if NO_BROWSER is set. */
export function findBrowser() {
  if (process.env.NO_BROWSER) return undefined;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = [process.env.CHROMIUM, ...names.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return candidates.find((file) => file && existsSync(file));
}

export const NO_BROWSER = "There is no Chromium here; name one in the variable CHROMIUM.";

/** @throws Error if there is no browser */
export async function openBrowser() {
  const executablePath = findBrowser();
  if (!executablePath) throw new Error(NO_BROWSER);
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

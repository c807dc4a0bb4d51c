/* global document -- in the page */
/**
 * Makes pictures of every page of the built site, 360 and 1280 pixels wide, light and dark:
 *
 *     npm run docs                       or npm run docs -- --quick
 *     npm run docs:screenshots -- FOLDER [PART OF A PATH]
 */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { root } from "./run.mjs";
import { openBrowser } from "./browser.mjs";
import { serveFolder } from "./serve-folder.mjs";

const [folder, part = ""] = process.argv.slice(2);
const site = process.env.SITE ?? join(root, "docs", ".vitepress", "dist");
if (!folder || !existsSync(site)) {
  console.error("npm run docs:screenshots -- FOLDER: name a folder for the pictures, and run `npm run docs` before.");
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
const pages = readdirSync(site, { recursive: true })
  .map((file) => file.split(sep).join("/"))
  .filter((file) => file.endsWith(".html") && !file.startsWith("api/") && file.includes(part));

const server = await serveFolder(site);
const browser = await openBrowser();
try {
  for (const width of [360, 1280]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
      for (const file of pages) {
        await page.goto(`${server.address}/${file}`, { waitUntil: "networkidle", timeout: 120_000 });
        // A live part is shown with its first drawing.
        await page.waitForFunction(() => !document.querySelector(".lab:not([data-tensors])"), { timeout: 120_000 });
        const name = `${file.replace(/\.html$/, "").replaceAll("/", "-")}-${width}-${colorScheme}.png`;
        await page.screenshot({ path: join(folder, name), fullPage: true });
        console.log(name);
      }
      await page.close();
    }
  }
} finally {
  await browser.close();
  server.close();
}

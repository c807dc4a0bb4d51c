/* global document -- in the page */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { pngTexts } from "../packages/core/src/image/index.js";
import { findBrowser, NO_BROWSER, openBrowser } from "./browser.mjs";
import { drawn, openPage, pixels, redrawn, seen, violations } from "./lab-page.mjs";
import { root } from "./run.mjs";
import { serveFolder } from "./serve-folder.mjs";

// The site is built for the tests; SITE names a folder in which it is built already.

const isHere = findBrowser() !== undefined;
const inBrowser = isHere ? describe : describe.skip;
if (!isHere) console.warn(`The lab's pages are not driven. ${NO_BROWSER}`);

let folder, server, browser, page, problems;
beforeAll(async () => {
  if (!isHere) return;
  if (!process.env.SITE) {
    folder = mkdtempSync(join(tmpdir(), "site "));
    execFileSync(process.execPath, ["scripts/docs.mjs", "--quick", `--to=${folder}`], { cwd: root, stdio: "pipe" });
  }
  server = await serveFolder(process.env.SITE ?? folder);
  browser = await openBrowser();
}, 600_000);
afterAll(async () => {
  await browser?.close();
  server?.close();
  if (folder) rmSync(folder, { recursive: true });
});

async function open(path, options) {
  ({ page, problems } = await openPage(browser, server.address, path, options));
}
afterEach(async () => {
  await page?.close();
  page = undefined;
});

inBrowser("The lab's page that draws", () => {
  it("draws what is typed: the classifier sees it; nothing complains, and nobody else is asked", async () => {
    await open("/lab/draw.html");
    await drawn(page);
    expect(await seen(await pixels(page))).toMatchObject({ mouth: "smiling", hair: "long", hairColor: "blonde" });
    const drawing = await redrawn(page, () =>
      page.getByLabel("Sentence").fill("a man with short black hair and sunglasses"),
    );
    expect(await seen(drawing)).toMatchObject({ hair: "short", hairColor: "black", eyewear: "sunglasses" });
    expect(problems).toEqual([]);
  });

  it("marks the words that the model does not know", async () => {
    await open("/lab/draw.html");
    await page.getByLabel("Sentence").fill("a smiling zebra");
    expect(await page.locator("mark").allTextContents()).toEqual(["zebra"]);
    await page.getByText("The model never saw this word: zebra").waitFor();
  });

  it("stops, and draws again", async () => {
    await open("/lab/draw.html#steps=50&width=64&height=64");
    await page.waitForFunction(() => document.querySelector(".state").textContent.startsWith("Step 3 "));
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    const stopped = await pixels(page);
    await page.waitForTimeout(1000);
    expect((await pixels(page)).url).toBe(stopped.url);
    await page.getByRole("slider", { name: "Steps" }).fill("2");
    await drawn(page);
    expect((await pixels(page)).url).not.toBe(stopped.url);
  });

  it("shows every step again, and gives a PNG file with its settings", async () => {
    await open("/lab/draw.html#seed=5&steps=6");
    await drawn(page);
    const last = await pixels(page);
    const scrub = page.getByLabel("From noise to the picture");
    await scrub.fill("0");
    expect((await pixels(page)).url).not.toBe(last.url);
    await scrub.fill("5");
    expect((await pixels(page)).url).toBe(last.url);
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByText("Download PNG").click()]);
    const texts = pngTexts(readFileSync(await file.path()));
    expect(JSON.parse(texts.settings)).toMatchObject({ seed: 5, steps: 6 });
  });

  it("paints a part anew, keeps the rest, draws in four steps, and leaves no tensor after ten drawings", async () => {
    await open("/lab/draw.html#steps=4");
    await drawn(page);
    const first = await pixels(page);
    await page.getByText("Begin from a picture").click();
    const painted = await redrawn(page, async () => {
      await page.getByRole("button", { name: "Take the drawing" }).click();
      await page.getByRole("button", { name: "lower half" }).click();
      await page.getByLabel("Sentence").fill("a man with a beard and a purple shirt");
    });
    const upper = first.data.length / 2;
    expect(painted.data.slice(0, upper)).toEqual(first.data.slice(0, upper));
    expect(painted.data.slice(upper)).not.toEqual(first.data.slice(upper));
    await page.getByRole("button", { name: "Begin from noise again" }).click();
    await redrawn(page, () => page.getByLabel("In four steps").check());
    const tensors = () => page.getAttribute(".lab", "data-tensors");
    const before = await tensors();
    for (let i = 0; i < 10; i++)
      await redrawn(page, () => page.getByRole("button", { name: "Another picture" }).click());
    expect(await tensors()).toBe(before);
    expect(problems).toEqual([]);
  });

  it.each(["light", "dark"])(
    "has no serious problem of accessibility, nor has the first page: %s",
    async (colorScheme) => {
      for (const path of ["/lab/draw.html", "/lab/schedules.html", "/"]) {
        await open(path, { colorScheme, reducedMotion: "reduce" });
        if (path !== "/lab/schedules.html") await drawn(page);
        for (const summary of await page.locator(".lab summary").all()) await summary.click();
        expect(await violations(page)).toEqual([]);
        expect(problems).toEqual([]);
        await page.close();
      }
    },
    300_000,
  );
});

inBrowser("The lab's page of schedules", () => {
  it("dissolves the picture, writes the config, and keeps its state in the address", async () => {
    await open("/lab/schedules.html#beta_schedule=squaredcos_cap_v2&steps=10");
    const picture = 'canvas[aria-label^="The picture with the noise"]';
    await page.waitForFunction((selector) => document.querySelector(selector)?.width === 32, picture);
    const early = await pixels(page, picture);
    await page.getByRole("slider", { name: "Time" }).fill("900");
    expect((await pixels(page, 'canvas[aria-label="The picture with the noise of t = 900"]')).url).not.toBe(early.url);
    await page.getByLabel("End with noise alone").check();
    await page.getByText("The config, as diffusers").click();
    const config = JSON.parse(await page.locator("pre code").first().textContent());
    expect(config).toMatchObject({ beta_schedule: "squaredcos_cap_v2", rescale_betas_zero_snr: true });
    expect(new URL(page.url()).hash).toContain("rescale_betas_zero_snr=true");
    expect(problems).toEqual([]);
  });
});

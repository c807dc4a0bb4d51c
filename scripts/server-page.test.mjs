import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { ended, serve } from "../packages/examples/bench/programs.js";
import { findBrowser, NO_BROWSER, openBrowser } from "./browser.mjs";
import { drawn, openPage, pixels, redrawn, seen, violations } from "./lab-page.mjs";
import { root } from "./run.mjs";

const FILE = join(root, "packages", "examples", "src", "cli", "server", "page.html");

it("The server's page is what its sources make: node scripts/server-page.mjs", () => {
  const folder = mkdtempSync(join(tmpdir(), "page "));
  const built = join(folder, "page.html");
  execFileSync(process.execPath, ["scripts/server-page.mjs", built], { cwd: root, stdio: "pipe" });
  const isSame = readFileSync(built, "utf8") === readFileSync(FILE, "utf8");
  rmSync(folder, { recursive: true });
  expect(isSame).toBe(true);
});

const isHere = findBrowser() !== undefined;
const inBrowser = isHere ? describe : describe.skip;
if (!isHere) console.warn(`The server's page is not driven. ${NO_BROWSER}`);

inBrowser("The server's page", () => {
  let server, browser, page, problems;
  beforeAll(async () => {
    server = await serve(["--model", "portraits", "--model", "faces"]);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    if (server) await ended(server);
  });
  const open = async (path, options) => {
    ({ page, problems } = await openPage(browser, server.at, path, options));
  };
  afterEach(async () => {
    await page?.close();
    page = undefined;
  });

  it("draws what is typed, with each model; the classifier sees it, and nothing complains", async () => {
    await open("/");
    await drawn(page);
    expect(await seen(await pixels(page))).toMatchObject({ mouth: "smiling", hair: "long", hairColor: "blonde" });
    const sentence = page.getByLabel("Sentence");
    const drawing = await redrawn(page, () => sentence.fill("a man with short black hair and sunglasses"));
    expect(await seen(drawing)).toMatchObject({ hair: "short", hairColor: "black", eyewear: "sunglasses" });
    await redrawn(page, () => page.getByLabel("Model").selectOption("faces"));
    expect((await pixels(page)).width).toBe(16);
    expect(problems).toEqual([]);
  });

  it("shows every step, and the command that draws the same", async () => {
    await open("/#seed=5&steps=6&guidanceScale=2&width=48&sampler=UniPC&negativePrompt=hat");
    await drawn(page);
    const last = await pixels(page);
    expect(last.width).toBe(48);
    const scrub = page.getByLabel("From noise to the picture");
    expect(await scrub.getAttribute("max")).toBe("5");
    await scrub.fill("0");
    expect((await pixels(page)).url).not.toBe(last.url);
    await scrub.fill("5");
    expect((await pixels(page)).url).toBe(last.url);

    await page.getByText("The program that draws the same").click();
    const code = await page.getByLabel("AUTOMATIC1111’s API program").textContent();
    const [, address, body] = /^curl (\S+) -H 'content-type: application\/json' -d '(.*)'$/s.exec(code);
    const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { images } = await answer.json();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByText("Download PNG").click()]);
    expect(images[0]).toBe(readFileSync(await file.path(), "base64"));
  });

  it("stops, paints a part anew, and keeps the rest", async () => {
    await open("/#steps=50&width=64&height=64");
    await page.waitForFunction(() => globalThis.document.querySelector(".state").textContent.startsWith("Step 3 "));
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    await page.getByLabel("Size").selectOption("32x32");
    await page.getByRole("slider", { name: "Steps" }).fill("4");
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
    expect(problems).toEqual([]);
  });

  it("says what is wrong, and goes on", async () => {
    await open("/metrics");
    // As many connections as the server takes.
    await page.evaluate(
      (address) =>
        Promise.all(
          Array.from({ length: 8 }, () => {
            const socket = new globalThis.WebSocket(address);
            return new Promise((resolve) => (socket.onopen = resolve));
          }),
        ),
      `${server.at.replace("http", "ws")}/live`,
    );
    const other = await browser.newPage();
    await other.goto(server.at);
    await other.getByText("Too many connections draw live").waitFor();
    await page.close();
    await other.getByRole("button", { name: "Another picture" }).click();
    await other.getByText("Drawn in").waitFor();
    await other.close();
  });

  it.each(["light", "dark"])("has no serious problem of accessibility: %s", async (colorScheme) => {
    await open("/", { colorScheme, reducedMotion: "reduce", viewport: { width: 360, height: 900 } });
    await drawn(page);
    for (const summary of await page.locator(".lab summary").all()) await summary.click();
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate(() => globalThis.document.documentElement.scrollWidth)).toBe(360);
  });
});

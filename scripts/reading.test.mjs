import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { findBrowser, NO_BROWSER } from "./browser.mjs";
import { root } from "./run.mjs";

/** Under the repository, from where VitePress is found. Git ignores it. */
const folder = join(root, "out", "reading");
const chapter = "01-forward-noising";
const tool = join(root, "packages", "examples", "dist", "src", "chapter", "main.js");
const address = `http://localhost:${5300 + (process.pid % 500)}`;

const chromium = findBrowser();
if (!chromium) console.warn(`scripts/reading.test.mjs is skipped. ${NO_BROWSER}`);

/** Shows a page in a frame of the width asked for (a window has at least 500 pixels), and measures it. */
const MEASURE = `<body><iframe id="frame" src="/chapters/${chapter}.html" style="border: 0; height: 9000px"></iframe>
<pre id="found"></pre>
<script type="module">
const frame = document.getElementById("frame");
frame.style.width = new URLSearchParams(location.search).get("width") + "px";
await new Promise((resolve) => setTimeout(resolve, 20000));
const page = frame.contentDocument;
const all = (what) => [...page.querySelectorAll(what)].filter((element) => element.getClientRects().length > 0);
const cut = (what) => all(what).filter((element) => element.scrollWidth > element.clientWidth + 1).length;
const formulas = all('mjx-container[display="true"] > svg').filter((svg) => svg.hasAttribute("width"));
document.getElementById("found").textContent = JSON.stringify({
  beyond: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  codes: all(".vp-doc pre").length,
  codesCut: cut(".vp-doc pre"),
  formulas: formulas.length,
  formulasCut: cut('mjx-container[display="true"]'),
  letters: Math.min(...all(".plot svg text").map((text) => parseFloat(getComputedStyle(text).fontSize) *
    text.ownerSVGElement.getBoundingClientRect().width / text.ownerSVGElement.viewBox.baseVal.width)),
  smallest: Math.min(...formulas.map((svg) => {
    const natural = document.createElement("div"); // as wide as MathJax wants it
    natural.style.cssText = "position: absolute; width: " + svg.getAttribute("width");
    svg.parentNode.append(natural);
    const scale = svg.getBoundingClientRect().width / natural.getBoundingClientRect().width;
    natural.remove();
    return scale;
  })),
});
</script></body>`;

(chromium ? describe : describe.skip)("A chapter's page in Chromium", () => {
  let server;
  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    for (const part of ["config.ts", "theme"])
      cpSync(join(root, "docs", ".vitepress", part), join(folder, ".vitepress", part), { recursive: true });
    execFileSync(process.execPath, ["--no-warnings", tool, "render", chapter, join(folder, "chapters")]);
    mkdirSync(join(folder, "public"));
    writeFileSync(join(folder, "public", "measure.html"), MEASURE);
    const vitepress = join(root, "node_modules", "vitepress", "bin", "vitepress.js");
    server = spawn(process.execPath, [vitepress, "dev", folder, "--port", new URL(address).port], { stdio: "ignore" });
    await answered();
  }, 300_000);
  afterAll(() => {
    server?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  async function answered() {
    for (let tries = 0; tries < 300; tries++) {
      if (await fetch(address).catch(() => undefined)) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`VitePress does not answer at ${address}.`);
  }

  async function measure(width) {
    const options = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      `--window-size=${Math.max(500, width + 20)},9100`,
    ];
    const page = `${address}/measure.html?width=${width}`;
    const { stdout } = await promisify(execFile)(
      chromium,
      [...options, "--virtual-time-budget=60000", "--dump-dom", page],
      { maxBuffer: 2 ** 26 },
    );
    return JSON.parse(/<pre id="found">([^<]*)</.exec(stdout)[1]);
  }

  it.each([360, 768, 1280, 1920])(
    "cuts no code, formula or plot at %d pixels, and all can be read",
    async (width) => {
      const found = await measure(width);
      expect(found.codes).toBeGreaterThan(10);
      expect(found.formulas).toBeGreaterThan(3);
      expect(found).toMatchObject({ beyond: 0, codesCut: 0, formulasCut: 0 });
      expect(found.letters).toBeGreaterThanOrEqual(11);
      expect(found.smallest).toBeGreaterThanOrEqual(0.6);
    },
    300_000,
  );
});

import { describe, expect, it } from "@jest/globals";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

/** The elements of HTML that pages use; components have capitals. */
const KNOWN = new Set(["a", "br", "code", "details", "figure", "img", "p", "script", "style", "sub", "summary", "sup"]);

/** What looks like an element and is none: `<lu>` outside of code, at which the site's build would stop. */
export function strangeElements(markdown) {
  const prose = markdown
    .replace(/^(```+|~~~+)[\s\S]*?^\1/gm, "")
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/<script[\s\S]*?<\/script>/g, "")
    .replace(/(`+)[^`][\s\S]*?\1/g, "");
  return [...prose.matchAll(/<\/?([a-z][\w-]*)/g)].map(([, name]) => name).filter((name) => !KNOWN.has(name));
}

describe("Pages", () => {
  it("are seen to hold an element that is none, only outside of code", () => {
    expect(strangeElements("a <lu> b `<x>` and ``<y> ` z``\n\n```ts\n<z>\n```\n<p>c</p> <!-- <q> -->")).toEqual(["lu"]);
  });

  const docs = join(root, "docs");
  const pages = readdirSync(docs).filter((file) => file.endsWith(".md"));
  it.each(pages)("%s has no element that is none", (page) => {
    expect(strangeElements(readFileSync(join(docs, page), "utf8"))).toEqual([]);
  });
});

import { existsSync, readFileSync } from "node:fs";
import { defineConfig, type DefaultTheme } from "vitepress";

/** A sidebar that `scripts/docs.mjs` wrote; none while its pages are not there. */
function generated(file: string): DefaultTheme.SidebarItem[] {
  const url = new URL(`../${file}`, import.meta.url);
  return existsSync(url) ? JSON.parse(readFileSync(url, "utf8")) : [];
}

/**
 * The API's sidebars: a page lists the names of its own module, and the other modules. With all names on each of its
 * six hundred pages, the site would be five times as large.
 */
function apiSidebars(): DefaultTheme.SidebarMulti {
  const packages = generated("api/typedoc-sidebar.json");
  const isModule = ({ link }: DefaultTheme.SidebarItem) => link !== undefined && !link.endsWith(".md");
  const modulesOf = ({ items = [] }: DefaultTheme.SidebarItem) => items.filter(isModule);
  const others: DefaultTheme.SidebarItem[] = packages.map(({ text, link, ...rest }) => {
    const items = modulesOf(rest).map(({ text, link }) => ({ text, link }));
    return { text, link, ...(items.length > 0 && { items }) };
  });
  const modules = packages.flatMap((one) => (modulesOf(one).length > 0 ? modulesOf(one) : [one]));
  const open = ({ text, items }: DefaultTheme.SidebarItem) => ({ text, items });
  const own = modules.map(({ text, link, items = [] }) => [
    link!,
    [
      { text, link, items: items.map(open) },
      { text: "Other modules", items: others },
    ],
  ]);
  return { ...Object.fromEntries(own), "/api/": others };
}

const guide: DefaultTheme.SidebarItem[] = [
  {
    text: "Guide",
    items: [
      { text: "Getting started", link: "/getting-started" },
      { text: "If you come from …", link: "/coming-from" },
      { text: "What to import from where", link: "/imports" },
      { text: "Architecture", link: "/architecture" },
      { text: "Drawing and editing", link: "/drawing" },
      { text: "Models and their weights", link: "/models" },
      { text: "Samplers", link: "/samplers" },
      { text: "Backends", link: "/backends" },
      { text: "In a worker", link: "/worker" },
      { text: "Tools", link: "/tools" },
      { text: "Putting it on the web", link: "/deploy" },
      { text: "Releasing", link: "/releasing" },
      { text: "Recorded networks", link: "/recording" },
      { text: "Benchmarks", link: "/benchmarks" },
      { text: "Training", link: "/training" },
      { text: "Which loss, which sampler", link: "/losses" },
      { text: "Two APIs: an image server", link: "/server" },
      { text: "More than one machine", link: "/scaling" },
      { text: "Security", link: "/security" },
      { text: "Metrics", link: "/metrics" },
      { text: "The portraits model", link: "/portraits" },
      { text: "The faces model", link: "/faces" },
      { text: "For teachers", link: "/teachers" },
      { text: "Writing a chapter", link: "/writing-a-chapter" },
      { text: "Decisions", link: "/decisions" },
    ],
  },
  {
    text: "Lab",
    items: [
      { text: "Draw", link: "/lab/draw" },
      { text: "Schedules", link: "/lab/schedules" },
    ],
  },
  { text: "Chapters", items: generated("chapters/sidebar.json") },
];

/** A site that is not at the root of its host says where it is: DOCS_BASE=/tfjs-diffusion/ npm run docs */
const BASE = process.env.DOCS_BASE ?? "/";

export default defineConfig({
  title: "tfjs-diffusion",
  description: "Diffusion models from scratch in TypeScript on TensorFlow.js: read them, run them, train them.",
  base: BASE,
  head: [["link", { rel: "icon", type: "image/svg+xml", href: `${BASE}favicon.svg` }]],
  // `npm run docs -- --quick` builds the other pages alone.
  ignoreDeadLinks: !existsSync(new URL("../chapters/sidebar.json", import.meta.url)),
  cleanUrls: false,
  // The list of all pages in one file, not in each page.
  metaChunk: true,
  lastUpdated: false,
  // The usual themes' red is too pale for small letters (WCAG's AA).
  markdown: { math: true, theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" } },
  // Formulas and API tables make large pages, not slow ones.
  vite: {
    build: { chunkSizeWarningLimit: 2000, target: "es2022" },
    // The library loads some of its parts on demand, which only ES modules can.
    worker: { format: "es" },
  },
  themeConfig: {
    nav: [
      { text: "Getting started", link: "/getting-started" },
      { text: "Chapters", link: generated("chapters/sidebar.json")[0]?.link ?? "/", activeMatch: "/chapters/" },
      { text: "Lab", link: "/lab/draw", activeMatch: "/lab/" },
      { text: "API", link: "/api/", activeMatch: "/api/" },
    ],
    sidebar: {
      ...apiSidebars(),
      "/": guide,
    },
    outline: [2, 3],
    search: { provider: "local" },
  },
});

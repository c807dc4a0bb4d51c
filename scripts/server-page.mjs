/**
 * Builds the page of the image server from docs/.vitepress/theme/lab/server: one file with the lab's drawing component.
 *
 *     node scripts/server-page.mjs [FILE]
 *
 * The file is committed: the server must run where neither a bundler nor Vue is installed. A test says when it is old.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

// Vue's compiler looks at this when it is loaded.
process.env.NODE_ENV = "production";
const [{ default: vue }, { build }] = await Promise.all([import("@vitejs/plugin-vue"), import("vite")]);

const PAGE = join(root, "packages", "examples", "src", "cli", "server", "page.html");
const SOURCE = join(root, "docs", ".vitepress", "theme", "lab", "server");

const { output } = await build({
  root: SOURCE,
  configFile: false,
  logLevel: "warn",
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: "false" },
  build: { write: false, target: "es2022", modulePreload: false },
});
const text = (end) => output.filter(({ fileName }) => fileName.endsWith(end)).map((file) => file.source ?? file.code);
const [html] = text(".html");
const tags = /<script type="module"[^>]*><\/script>|<link rel="stylesheet"[^>]*>/g;
const style = `<style>${text(".css").join("")}</style>`;
// A text of the program must not end it.
const script = `<script type="module">${text(".js").join("").replaceAll("</script", "<\\/script")}</script>`;
const page = html
  .replace(tags, "")
  .replace("</head>", () => `${style}</head>`)
  .replace("</body>", () => `${script}</body>`);
writeFileSync(process.argv[2] ?? PAGE, page);

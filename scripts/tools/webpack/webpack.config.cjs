module.exports = {
  mode: "production",
  entry: "./page.js",
  output: { filename: "page.js" },
  performance: { hints: false },
};

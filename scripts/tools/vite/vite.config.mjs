export default {
  // The model's files are found by import.meta.url, which Vite's bundle of the dependencies would change.
  optimizeDeps: { exclude: ["@tfjs-diffusion/portraits"] },
  // The library imports some of its parts on demand.
  worker: { format: "es" },
};

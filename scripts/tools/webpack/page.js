// Draws in a worker, so that the page goes on moving, and reports what came.
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => fetch("/report", { method: "POST", body: JSON.stringify(data) });
worker.onerror = ({ message }) => fetch("/report", { method: "POST", body: JSON.stringify({ error: message }) });

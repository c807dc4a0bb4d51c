import { readFile } from "node:fs/promises";
import multipart from "@fastify/multipart";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import websocket from "@fastify/websocket";
import Fastify, { type FastifyInstance } from "fastify";
import { packagePath } from "../../package-folder.js";
import { apiErrorOf } from "./answers.js";
import type { ServerParts } from "./drawing.js";
import { ApiError } from "./errors.js";
import { addGuard } from "./guard.js";
import type { JobQueue } from "./jobs/draw-job.js";
import { liveRoutes } from "./live.js";
import { Metrics } from "./metrics.js";
import { openaiRoutes } from "./openai/routes.js";
import type { ServerSettings } from "./settings.js";
import { StoredPictures } from "./stored-pictures.js";
import { webuiRoutes } from "./webui/routes.js";

/** Longest name of a picture, model or route. */
const LONGEST_PARAMETER = 200;

/** How long running drawings may take when the server ends, in milliseconds. */
const GRACE = 30_000;
/** How long the last answers may take after that, in milliseconds. */
const LAST_ANSWERS = 1000;

/** The server's routes on a queue. `listen` starts it; `close` ends the queue, too. */
export async function createServer(settings: ServerSettings, queue: JobQueue): Promise<FastifyInstance> {
  const { limits } = settings;
  const app = Fastify({
    logger: { level: "error" },
    bodyLimit: limits.body,
    requestTimeout: limits.requestTime,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    http: { headersTimeout: limits.requestTime, connectionsCheckingInterval: 1000 },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();

  const metrics = new Metrics(queue);
  const parts: ServerParts = { settings, queue, metrics, stored: new StoredPictures(limits) };
  addGuard(app, settings);
  app.addHook("onResponse", async (request, { statusCode }) => {
    metrics.countRequest(request.routeOptions.url ?? "none", request.method, statusCode);
    // Node no longer counts a connection that asked for a WebSocket: nobody else would close it after a refusal.
    if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon();
  });
  app.addHook("preClose", async () => {
    await queue.close(GRACE);
    // All drawings are answered. What is still open is not: half-sent requests, for example.
    setTimeout(() => app.server.closeAllConnections(), LAST_ANSWERS).unref();
  });
  app.setErrorHandler((error: Error, request, reply) => {
    const { status, message, details } = apiErrorOf(error);
    if (status >= 500) request.log.error(error);
    return reply.status(status).send({ error: { message, code: details.code ?? null } });
  });
  app.setNotFoundHandler(({ method, url }) => {
    throw new ApiError(404, `${method} ${url.slice(0, LONGEST_PARAMETER)} is not here; see /openapi.json.`, {
      code: "not_found",
    });
  });

  const { files, ...form } = { files: 4, fields: 30, parts: 40, fieldSize: 2 ** 17, fileSize: limits.body };
  await app.register(multipart, { limits: { ...form, files } });
  await app.register(websocket, {
    options: { maxPayload: limits.body },
    errorHandler: (_, socket) => socket.terminate(), // The default would log what any client can cause.
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "tfjs-diffusion",
        description: "Draws pictures on this machine, asked for as OpenAI's image API or AUTOMATIC1111's API do.",
        version: "1",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
    },
  });
  await app.register(openaiRoutes, { prefix: "/v1", ...parts });
  await app.register(webuiRoutes, { prefix: "/sdapi/v1", ...parts });
  await app.register(liveRoutes, parts);
  await app.register(async (own) => addOwnRoutes(own, parts));
  return app;
}

function addOwnRoutes(app: FastifyInstance, { queue, metrics, stored }: ServerParts): void {
  app.get("/health", { schema: { summary: "Whether pictures can be drawn" } }, async (_, reply) => {
    const [models, jobs] = [await queue.models(), await queue.state()];
    const status = models.length > 0 ? "ok" : "no worker";
    return reply.status(models.length > 0 ? 200 : 503).send({ status, ...jobs, models: models.map(({ id }) => id) });
  });
  app.get("/metrics", { schema: { summary: "Counts and times, for Prometheus" } }, async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  app.get("/models", { schema: { summary: "The models, and what each can do" } }, () => queue.models());
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  app.get<{ Params: { name: string } }>(
    "/pictures/:name",
    { schema: { summary: "A drawn picture, by the URL in an answer" } },
    async ({ params }, reply) => {
      const png = stored.get(params.name);
      if (!png) throw new ApiError(404, "There is no such picture, or no longer.", { code: "not_found" });
      return reply.type("image/png").header("cache-control", "private, immutable").send(png);
    },
  );
  app.get("/", { schema: { hide: true } }, async (_, reply) => {
    const page = await readFile(packagePath("src", "cli", "server", "page.html"));
    return reply
      .type("text/html; charset=utf-8")
      .header(
        "content-security-policy",
        "default-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'",
      )
      .send(page);
  });
}

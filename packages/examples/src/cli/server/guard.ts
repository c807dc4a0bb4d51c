import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "./errors.js";
import type { ServerSettings } from "./settings.js";

/** Names of this machine that no other page's name server can claim. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Paths that monitors ask for, without a token. */
const OPEN_PATHS = new Set(["/health"]);

/**
 * Checks each request before its body is read:
 *
 * - its Host is one of this server's names, so that a page whose name was pointed at this machine (DNS rebinding) is
 *   refused;
 * - its Origin, if a page sends it, is this server's or an allowed one;
 * - it brings the token, if there is one.
 */
export function addGuard(app: FastifyInstance, { host, token, allowedHosts, allowedOrigins }: ServerSettings): void {
  const names = new Set([...LOOPBACK, host, ...allowedHosts].map((name) => name.toLowerCase()));
  const origins = new Set(allowedOrigins);
  const wanted = token === undefined ? undefined : digest(token);

  app.addHook("onRequest", async (request, reply) => {
    requireHost(request, names);
    const { origin } = request.headers;
    if (origin !== undefined) {
      if (!isOwn(origin, request) && !origins.has(origin)) {
        throw new ApiError(403, `Pages of ${origin} may not use this server. Start it with --allow-origin ${origin}.`, {
          code: "origin_not_allowed",
        });
      }
      void reply.header("access-control-allow-origin", origin).header("vary", "Origin");
      if (request.method === "OPTIONS") return answerPreflight(reply);
    }
    if (wanted && !OPEN_PATHS.has(request.url) && !hasToken(request, wanted)) {
      throw new ApiError(401, "This server needs its token: send the header Authorization: Bearer TOKEN.", {
        code: "invalid_api_key",
      });
    }
  });
}

function requireHost({ headers }: FastifyRequest, names: ReadonlySet<string>): void {
  const name = (headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (names.has(name)) return;
  throw new ApiError(421, `This server is not ${name || "without a name"}. Start it with --allow-host to add a name.`, {
    code: "host_not_allowed",
  });
}

function isOwn(origin: string, { headers, protocol }: FastifyRequest): boolean {
  return origin === `${protocol}://${headers.host}`;
}

/** Lets a page of an allowed origin send what the APIs need. */
async function answerPreflight(reply: FastifyReply): Promise<void> {
  await reply
    .header("access-control-allow-methods", "GET, POST, OPTIONS")
    .header("access-control-allow-headers", "authorization, content-type")
    .header("access-control-max-age", "600")
    .status(204)
    .send();
}

function hasToken({ headers }: FastifyRequest, wanted: Buffer): boolean {
  const [, given] = /^Bearer (.+)$/i.exec(headers.authorization ?? "") ?? [];
  return given !== undefined && timingSafeEqual(digest(given), wanted);
}

/** Of equal length for all texts, so that they can be compared in equal time. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Who sends a request, for the turns in the queue: its token's owner, else its address. */
export function clientOf({ ip }: FastifyRequest, user?: string): string {
  return user === undefined ? ip : `${ip} ${user}`;
}

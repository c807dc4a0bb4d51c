/**
 * Prints the bill of materials of the whole tree, from pnpm-lock.yaml, as CycloneDX 1.5:
 * `node scripts/sbom.mjs > sbom.cdx.json`. Nothing is asked of the network.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Every package of the lockfile with the SHA-512 of its archive. */
export function componentsOf(lockfile) {
  const packages = lockfile.slice(lockfile.indexOf("\npackages:\n"), lockfile.indexOf("\nsnapshots:\n"));
  const entries = packages.matchAll(
    /^ {2}'?(@?[^@'\s]+)@([^':\s]+)'?:\n {4}resolution: \{integrity: sha512-([^}]+)\}/gm,
  );
  return [...entries].map(([, name, version, hash]) => ({
    type: "library",
    "bom-ref": `${name}@${version}`,
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    hashes: [{ alg: "SHA-512", content: Buffer.from(hash, "base64").toString("hex") }],
  }));
}

export function sbom() {
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: { type: "application", name, version } },
    components: componentsOf(readFileSync(join(root, "pnpm-lock.yaml"), "utf8")),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(sbom(), null, 2));

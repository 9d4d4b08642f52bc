// Builds the page into dist/, which is committed. `node build.mjs --check` fails if dist/ is out of date.
import { build } from "esbuild";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const check = process.argv.includes("--check");
const out = check ? await mkdtemp(join(tmpdir(), "wukong-ui-")) : join(here, "dist");

// The packages whose code is in the page, with the files of their licences.
const EMBEDDED = [
  ["preact", "LICENSE"],
  ["@xterm/xterm", "LICENSE"],
  ["@xterm/addon-fit", "LICENSE"],
  ["@novnc/novnc", "LICENSE.txt"],
];

async function packageOf(name) {
  const { version, license } = JSON.parse(await readFile(join(here, "node_modules", name, "package.json"), "utf8"));
  return { name, version, license };
}

async function notice() {
  const parts = ["The page of kubectl wukong ui contains these packages.\n"];
  for (const [name, licence] of EMBEDDED) {
    const folder = join(here, "node_modules", name);
    const { version, license } = await packageOf(name);
    const text = await readFile(join(folder, licence), "utf8");
    parts.push(
      `${"=".repeat(72)}\n${name} ${version} (${license})\nUnchanged source: https://www.npmjs.com/package/${name}/v/${version}\n\n${text.trim()}\n`,
    );
  }
  return parts.join("\n");
}

await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/app.tsx", "src/serial.ts", "src/screen.ts"],
  outdir: out,
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome110", "firefox115", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none",
  // They are loaded when a console is opened.
  external: ["/assets/*"],
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) {
  await writeFile(join(out, name), await readFile(join(here, "src", name)));
}
await writeFile(join(out, "NOTICE.txt"), await notice());
// For the bill of materials of the plugin.
const packages = await Promise.all(EMBEDDED.map(([name]) => packageOf(name)));
await writeFile(join(out, "packages.json"), `${JSON.stringify(packages, null, 2)}\n`);

if (check) {
  const committed = join(here, "dist");
  const names = new Set([...(await readdir(out)), ...(await readdir(committed))]);
  const read = (folder, name) => readFile(join(folder, name)).catch(() => Buffer.alloc(0));
  const stale = [];
  for (const name of names) {
    if (!(await read(out, name)).equals(await read(committed, name))) stale.push(name);
  }
  await rm(out, { recursive: true });
  if (stale.length > 0) {
    console.error(`ui/dist is out of date (${stale.join(", ")}): run \`npm ci && npm run build\` in bins/kubectl-wukong/ui`);
    process.exit(1);
  }
}

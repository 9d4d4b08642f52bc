// What the tests share: a browser, pictures of its pages, and checks of accessibility.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

// How long anything may take on a busy machine.
const PATIENCE = Number(process.env.PATIENCE ?? 120_000);
const PICTURES = process.env.PICTURES;

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
  });
}

// A browser of its own, with a page of the plugin.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    const refused = /Failed to load resource|WebSocket/.test(message.text());
    if (message.type() === "error" && !refused) errors.push(message.text());
  });
  page.errors = errors;
  await page.goto(url);
  await page.locator("main").waitFor();
  return page;
}

export async function place(page, hash) {
  await page.evaluate((hash) => (location.hash = hash), hash);
}

export async function picture(page, name, options = {}) {
  if (!PICTURES) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled", ...options });
}

// Fails if the page violates WCAG A or AA.
export async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }),
  );
  const shown = found.violations.map(
    (one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary ?? ""}`).join(" | ")}`,
  );
  assert.deepEqual(shown, [], `${where} is accessible`);
}

// Nothing is wider than the screen.
export async function fits(page, where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `${where} is ${over} pixels too wide`);
}

// Waits until a page says something anywhere.
export function says(page, text) {
  return page.getByText(text).first().waitFor();
}

export async function step(name, run) {
  const start = Date.now();
  await run();
  console.log(`${name}: ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

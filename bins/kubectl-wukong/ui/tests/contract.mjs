// Every field of the schema has a control in the form.
import assert from "node:assert/strict";
import { place } from "./browser.mjs";

// The paths that the form has to offer, such as spec.disks[].size.
function paths(schema, path) {
  if (schema.items) return [path, ...paths(schema.items, `${path}[]`)];
  if (schema.additionalProperties) return [path, `${path}{}`];
  const fields = Object.entries(schema.properties ?? {});
  return [path, ...fields.flatMap(([name, field]) => paths(field, `${path}.${name}`))];
}

export async function everyFieldHasAControl(page) {
  await place(page, "/new");
  await page.getByRole("button", { name: "Show all fields" }).click();
  const schema = await page.evaluate(() => fetch("/api/schema").then((answer) => answer.json()));
  const wanted = new Set(paths(schema, "spec").filter((path) => path !== "spec"));
  const shown = await page.evaluate(async () => {
    const shape = (path) => path.replace(/\[\d+\]/g, "[]");
    const seen = new Set();
    // Opens what is closed, level by level, until nothing new appears.
    for (;;) {
      const before = seen.size;
      for (const element of document.querySelectorAll("[data-path]")) {
        const path = shape(element.dataset.path);
        if (seen.has(path)) continue;
        seen.add(path);
        // An object or a list of which nothing is shown yet.
        const add = element.querySelector(":scope > .title button");
        if (element.matches(".object") && add?.textContent.includes("+")) {
          add.click();
          await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        }
      }
      if (seen.size === before) return [...seen];
    }
  });
  const missing = [...wanted].filter((path) => !shown.includes(path));
  assert.deepEqual(missing, [], "fields without a control");
  const leaves = await page.evaluate(
    () => [...document.querySelectorAll(".field, .line")].filter((field) => !field.querySelector("input, select")).length,
  );
  assert.equal(leaves, 0, "no frame is empty");
  console.log(`${wanted.size} paths of the schema have a control`);
}

// From an empty cluster to a VM, its console, a change, a restart and its deletion, as a user does it.
import assert from "node:assert/strict";
import { accessible, fits, launch, open, picture, place, says, step } from "./browser.mjs";
import { everyFieldHasAControl } from "./contract.mjs";

const { WUKONG_UI: url, WUKONG_UI_BUNDLE: bundle, WUKONG_UI_READER: reader, NAMESPACE: namespace } = process.env;
const HOSTILE = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";

const browser = await launch();
const vm = (tab = "") => `/vm/${namespace}/web${tab}`;
const phase = (page, name) => page.locator(".head .badge", { hasText: name }).waitFor();
const field = (page, path) => page.locator(`[data-path="${path}"] input, [data-path="${path}"] select`).first();
const review = (page, name) => page.getByRole("button", { name }).click();

const page = await open(browser, url);

try {
  await step("an empty cluster", async () => {
    await says(page, "No virtual machines yet");
    assert.equal(new URL(page.url()).hash.includes("token"), false, "the token leaves the address");
    await accessible(page, "the empty list");
    await picture(page, "empty");
  });

  await step("a used URL opens no second session", async () => {
    const other = await open(browser, url);
    await says(other, "This page has no session");
    await accessible(other, "the page without a session");
    await other.context().close();
  });

  await step("a VM by the form", async () => {
    await page.getByRole("link", { name: "New VM" }).click();
    await field(page, "spec.cpu").fill("1");
    const button = page.getByRole("button", { name: "Review and create" });
    await says(page, "1 problem");
    assert.equal(await button.isDisabled(), true, "a manifest with a problem is not applied");
    await field(page, "metadata.name").fill("web");
    await field(page, "spec.memory").fill("1");
    await field(page, "spec.sshKeySecret").fill("team-keys");
    await page.getByRole("button", { name: "Add to Disks" }).click();
    await field(page, "spec.disks[0].name").fill("root");
    await field(page, "spec.disks[0].size").fill("2");
    await field(page, "spec.disks[0].image").fill("http://images.example.com/disk.qcow2");
    await says(page, "No problems");
    await page.getByRole("tab", { name: "What it becomes" }).click();
    await says(page, "kind: VirtualMachine");
    await page.getByRole("tab", { name: "Plan" }).click();
    await says(page, "VirtualMachine/web");
    await accessible(page, "the form");
    await picture(page, "new");
    await button.click();
    await accessible(page, "the review");
    await page.getByRole("button", { name: "Create", exact: true }).click();
  });

  await step("its cause, and the repair", async () => {
    await page.locator(".card.cause", { hasText: "SecretNotFound" }).waitFor();
    await says(page, "What to do");
    await accessible(page, "a VM with a cause");
    await picture(page, "cause-secret");
    await page.getByRole("link", { name: "Edit" }).click();
    await field(page, "spec.sshKeySecret").fill("");
    await says(page, "No problems");
    await page.getByRole("tab", { name: "Plan" }).click();
    await page.locator(".changes", { hasText: "spec.sshKeySecret" }).waitFor();
    await review(page, "Review and apply");
    await page.getByLabel("I know that this needs a restart").check();
    await page.getByLabel("Restart the VM now").check();
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("The VM runs on").waitFor();
    await phase(page, "Running");
    await page.locator(".boot .reached, .boot .slowest").nth(3).waitFor();
    await accessible(page, "a VM that runs");
    await picture(page, "running");
  });

  await step("hostile text is text", async () => {
    await page.getByText(HOSTILE).first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator("main img").count(), 0);
  });

  await step("its serial console, by one viewer at a time", async () => {
    await page.getByRole("link", { name: "Serial console" }).first().click();
    await page.locator(".xterm-rows", { hasText: "web login:" }).waitFor();
    await page.keyboard.type("<img src=x>");
    await page.locator(".xterm-rows", { hasText: "<img src=x>" }).waitFor();
    assert.equal(await page.locator(".xterm-rows img").count(), 0);
    await picture(page, "serial");
    const second = await page.context().newPage();
    await second.goto(new URL(`/#${vm("/serial")}`, page.url()).href);
    await second.getByRole("button", { name: "Take it over" }).click();
    await second.locator(".xterm-rows", { hasText: "web login:" }).waitFor();
    await page.getByRole("button", { name: "Connect again" }).waitFor();
    await second.close();
    await page.keyboard.press("Control+Alt+Escape");
  });

  await step("its screen", async () => {
    await page.getByRole("link", { name: "Screen", exact: true }).click();
    const is = (red, green, blue) =>
      page.waitForFunction(
        (wanted) => {
          const canvas = document.querySelector(".display canvas");
          const pixel = canvas?.width && canvas.getContext("2d").getImageData(10, 10, 1, 1).data;
          return pixel && [...pixel].slice(0, 3).join() === wanted;
        },
        [red, green, blue].join(),
      );
    await is(32, 96, 160);
    await accessible(page, "the screen");
    await picture(page, "screen");
    await page.locator(".display canvas").click();
    await page.keyboard.press("a");
    await is(48, 144, 64);
    await place(page, "/");
    await page.getByRole("button", { name: "Screens" }).click();
    await page.locator(".picture img").waitFor();
    await page.waitForFunction(() => document.querySelector(".picture img").naturalWidth === 8);
    await page.getByRole("button", { name: "Hide screens" }).click();
  });

  await step("a change in place, and one that needs a restart", async () => {
    await place(page, vm("/edit"));
    await field(page, "spec.cpu").fill("2");
    await page.getByRole("tab", { name: "Plan" }).click();
    await page.locator(".changes", { hasText: "hot-plug" }).waitFor();
    await page.getByRole("button", { name: "Show all fields" }).click();
    await field(page, "spec.firmware").selectOption("UEFI");
    await page.locator(".changes", { hasText: "needs restart" }).waitFor();
    await picture(page, "plan");
    await review(page, "Review and apply");
    const apply = page.getByRole("button", { name: "Apply", exact: true });
    assert.equal(await apply.isDisabled(), true, "a restart has to be accepted");
    await accessible(page, "the review of a restart");
    await picture(page, "review");
    await page.getByLabel("I know that this needs a restart").check();
    await apply.click();
    await page.locator(".card", { hasText: "Pending changes" }).getByText("spec.firmware").waitFor();
    await page.getByRole("button", { name: "Restart" }).click();
    await says(page, "Restart: requested");
    await page.locator(".card", { hasText: "Pending changes" }).waitFor({ state: "detached" });
    await phase(page, "Running");
  });

  await step("power", async () => {
    await page.getByRole("button", { name: "Shut down" }).click();
    await phase(page, "Stopped");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await phase(page, "Running");
  });

  await step("a snapshot, and a restore from it", async () => {
    const dialog = page.locator("dialog");
    await place(page, vm("/snapshots"));
    await says(page, "No snapshot of this VM yet.");
    await page.getByRole("button", { name: "Take a snapshot" }).click();
    const taken = page.locator("tr", { hasText: "consistent file systems" });
    await taken.getByRole("button", { name: "Restore" }).click();
    await dialog.locator("pre", { hasText: "web.root -> web.root.r2" }).waitFor();
    await page.getByLabel("Shut the VM down for the restore").check();
    await dialog.locator("pre", { hasText: "started afterwards" }).waitFor();
    await accessible(page, "the plan of a restore");
    await picture(page, "restore");
    await dialog.getByRole("button", { name: "Restore" }).click();
    await page.locator("tr", { hasText: "web.root → web.root.r2" }).getByText("Succeeded").waitFor();
    await phase(page, "Running");
    await page.locator(".card", { hasText: "Earlier content of the disks" }).getByText("web.root", { exact: true }).waitFor();
    await accessible(page, "the snapshots");
    await picture(page, "snapshots");
    await taken.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await says(page, "No snapshot of this VM yet.");
  });

  await step("keyboard", async () => {
    await place(page, "/");
    await page.locator(".window .row").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("node-");
    await page.locator(".count", { hasText: /^1$/ }).waitFor();
    await page.locator(".rows").focus();
    await page.keyboard.press("ArrowDown");
    await page.locator(".window a:focus").waitFor();
    await page.keyboard.press("Enter");
    await page.locator("h1", { hasText: "web" }).waitFor();
  });

  await step("every page in both languages, light and dark, wide and narrow", async () => {
    const pages = { list: "/", vm: vm(), snapshots: vm("/snapshots"), edit: vm("/edit"), cluster: "/cluster", new: "/new" };
    const ready = { list: ".window .row", vm: ".boot li", snapshots: ".actions .primary", edit: ".yaml", cluster: ".checks .small", new: ".yaml" };
    for (const language of ["en", "zh"]) {
      for (const theme of ["light", "dark"]) {
        await page.evaluate(([language, theme]) => {
          localStorage.setItem("wukong.language", language);
          localStorage.setItem("wukong.theme", theme);
        }, [language, theme]);
        await page.reload();
        for (const [name, where] of Object.entries(pages)) {
          await place(page, where);
          await page.locator(ready[name]).first().waitFor();
          for (const width of [1440, 1024, 390]) {
            await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
            await fits(page, `${name} at ${width}`);
            // Each width, language and theme once; contrast depends on the theme alone.
            if (width === ({ enlight: 1440, endark: 390, zhlight: 390, zhdark: 1440 })[language + theme]) {
              await accessible(page, `${name} ${language} ${theme} ${width}`);
            }
            await picture(page, `${name}-${language}-${theme}-${width}`);
          }
        }
      }
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.evaluate(() => localStorage.clear());
    await page.reload();
  });

  await step("every field of the CRD", () => everyFieldHasAControl(page));

  await step("a user without rights", async () => {
    const other = await open(browser, reader);
    await place(other, vm());
    await other.getByRole("button", { name: "Delete" }).waitFor();
    for (const name of ["Shut down", "Restart", "Delete"]) {
      await other.locator(`button[title="Your permissions do not allow it"]:disabled`, { hasText: name }).waitFor();
    }
    await other.context().close();
  });

  await step("deletion", async () => {
    await place(page, vm());
    await page.getByRole("button", { name: "Delete" }).click();
    const confirm = page.locator("dialog button[type=submit]");
    assert.equal(await confirm.isDisabled(), true);
    await page.getByLabel("Type the name of the VM").fill("web");
    await accessible(page, "the deletion");
    await picture(page, "delete");
    await confirm.click();
    await says(page, "No virtual machines yet");
  });

  await step("a bundle without a cluster", async () => {
    const other = await open(browser, bundle);
    await other.locator(".card.cause", { hasText: "ImportFailed" }).waitFor();
    await other.locator(".chain .cause").waitFor();
    await accessible(other, "a bundle");
    await picture(other, "cause");
    await other.setViewportSize({ width: 390, height: 844 });
    await fits(other, "a cause at 390");
    await accessible(other, "a narrow cause");
    await picture(other, "cause-390");
    await other.locator(".chain .link").last().click();
    await other.locator("dialog pre", { hasText: "kind:" }).waitFor();
    assert.equal(await other.getByRole("button", { name: "Delete" }).count(), 0);
    assert.deepEqual(other.errors, []);
    await other.context().close();
  });

  assert.deepEqual(page.errors, [], "no error in the console of the browser");
} catch (error) {
  await picture(page, "failed");
  throw error;
} finally {
  await browser.close();
}

// The demo in Firefox, over file:// with the strict policy on and over http: what a reader does, and no error in the console.
// Run by checks.py, which says in its one argument, as JSON, where Firefox, the site and a host's folder are, and which pages to open.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const asked = JSON.parse(process.argv[2]);
const NEURON = "tiny-inception/mixed3a/5.html", LAYER = "tiny-inception/mixed3a/index.html";
const PATIENCE = { timeout: 15000 };

function same(found, expected, what) {
  const [a, b] = [found, expected].map((one) => JSON.stringify(one));
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

function holds(found, what) {
  if (!found) throw new Error(what);
}

// A page that remembers what went wrong on it.
async function watched(browser) {
  const page = await browser.newPage();
  page.problems = [];
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  page.on("pageerror", (error) => page.problems.push(String(error.message || error)));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    if (why !== "NS_BINDING_ABORTED") page.problems.push(`failed: ${request.url()}: ${why}`); // aborted: the page was left while it still loaded
  });
  page.on("request", (request) => {
    if (!/^(file:|data:|blob:|about:|http:\/\/127\.0\.0\.1:)/.test(request.url())) page.problems.push(`left the site: ${request.url()}`);
  });
  await page.setViewport({ width: 1280, height: 900 });
  return page;
}

async function until(page, test, ...given) {
  await page.waitForFunction(test, PATIENCE, ...given);
}

async function at(page, address) {
  await until(page, (end) => location.href.endsWith(end) && document.readyState === "complete", address);
}

const pressing = (page, key) => page.keyboard.press(key);
const ground = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
const units = (page) => page.$$eval("main .grid > *", (tiles) => tiles.filter((one) => one.offsetParent).map((one) => one.id));

// -- what a reader does ---------------------------------------------------------------------------------------------------

const CHECKS = {
  async "the policy on files is strict"(page, root) {
    if (!root.startsWith("file:")) return;
    await page.goto(root + NEURON);
    const read = (other) => new Promise((done) => {
      const request = new XMLHttpRequest();
      request.onload = () => done("read");
      request.onerror = () => done("refused");
      request.open("GET", other);
      request.send();
    });
    same(await page.evaluate(read, root + LAYER), "refused", "another file");
    page.problems.length = 0; // the refusal
  },

  async "every kind of page opens"(page, root) {
    for (const path of asked.pages) {
      await page.goto(root + path);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      holds(over <= 0, `${path} is ${over} px too wide`);
    }
  },

  async "the jump box leads to a neuron"(page, root) {
    await page.goto(root + "index.html");
    await pressing(page, "/");
    await page.waitForSelector("dialog[open] input", PATIENCE);
    await page.keyboard.type("mixed3a 5");
    await pressing(page, "Enter");
    await at(page, NEURON);
  },

  async "keys lead onward, back and up"(page, root) {
    await page.goto(root + NEURON);
    for (const [key, end] of [["j", "/6.html"], ["k", "/5.html"], ["ArrowRight", "/6.html"], ["ArrowLeft", "/5.html"]]) {
      await pressing(page, key);
      await at(page, end);
    }
    await pressing(page, "?");
    await page.waitForSelector("dialog[open]", PATIENCE);
    await pressing(page, "Escape");
    await until(page, () => !document.querySelector("dialog[open]"));
    await pressing(page, "u");
    await until(page, (path) => location.href.split("#")[0].endsWith(path), LAYER);
  },

  async "the theme is kept"(page, root) {
    await page.goto(root + NEURON);
    const before = await ground(page);
    await page.click("button[aria-label*=theme]");
    const after = await ground(page);
    holds(before !== after, "the button changed nothing");
    await page.goto(root + (root.startsWith("file:") ? LAYER : "index.html")); // of files, Firefox lets those of one folder share what they keep
    same(await ground(page), after, "on the next page");
    await page.click("button[aria-label*=theme]");
    same(await ground(page), before, "changed back");
  },

  async "another face is asked for, and stays"(page, root) {
    const face = (selector) => page.$eval(selector, (one) => getComputedStyle(one, "::before").backgroundImage);
    await page.goto(root + LAYER);
    holds(/faces\.png/.test(await face(".grid > a")), "weights do not stand first");
    await page.click("#switch input[value=visualization]");
    holds(/visualization-large\.webp/.test(await face(".grid > a")), "the grid shows no visualizations");
    await page.goto(root + NEURON);
    await page.$eval("#r0", (table) => table.scrollIntoView());
    await page.waitForSelector("#r0.near", PATIENCE);
    holds(/visualization\.webp/.test(await face("#r0 tbody th > a")), "the rows of the next page show no visualizations");
  },

  async "a layer sorts, and the address keeps it"(page, root) {
    await page.goto(root + LAYER);
    const before = await units(page);
    await page.select("#sift select[name=sort]", "norm");
    await until(page, () => location.hash.includes("sort=norm"));
    const after = await units(page);
    holds(before.length === after.length && before.join() !== after.join(), "the order is what it was");
    same([...after].sort(), [...before].sort(), "the neurons");
    await page.goto(root + "index.html");
    await page.goto(root + LAYER + "#sort=norm");
    same(await units(page), after, "opened by its address");
  },

  async "a layer filters, and can be put back"(page, root) {
    await page.goto(root + LAYER);
    const before = await units(page);
    const values = await page.evaluate(() => JSON.parse(document.getElementById("numbers").textContent).columns.norm);
    const middle = [...values].sort((a, b) => a - b)[values.length >> 1];
    await page.type("#sift input[type=number]", String(middle));
    await until(page, () => location.hash.includes("norm="));
    const after = await units(page);
    holds(after.length > 0 && after.length < before.length, `${after.length} of ${before.length} are left`);
    await page.evaluate(() => history.back());
    await until(page, (count) => [...document.querySelectorAll("main .grid > *")].filter((one) => one.offsetParent).length === count, before.length);
  },

  async "an address is copied"(page, root) {
    await page.goto(root + NEURON);
    await page.click("#use > summary");
    await page.waitForSelector("#use button[aria-label='Copy: Address']", PATIENCE);
    await page.click("#use button[aria-label='Copy: Address']");
    await until(page, () => /copied/.test(document.querySelector("#use [role=status]").textContent));
    await page.evaluate(() => {
      const field = document.createElement("textarea");
      document.body.append(field);
      field.focus();
    });
    await page.keyboard.down("Control");
    await pressing(page, "v");
    await page.keyboard.up("Control");
    const pasted = await page.$eval("body > textarea", (field) => field.value);
    same(pasted, root + NEURON, "what the clipboard holds");
  },

  async "a frame takes the height of its figure"(page, root, host) {
    await framed(page, host, "frame.html", `<iframe src="${root}${NEURON}#embed" title="a figure" style="width:100%;height:50px"></iframe>
      <script src="${root}embed.js"></script>`);
    await until(page, () => document.querySelector("iframe").offsetHeight > 100);
    await fits(page, root);
  },

  async "an atlas-card takes the height of its figure"(page, root, host) {
    await framed(page, host, "card.html", `<script src="${root}card.js"></script><atlas-card href="${root}${NEURON}">a neuron</atlas-card>`);
    await until(page, () => Math.abs(document.querySelector("atlas-card").offsetHeight - 320) > 5);
    await fits(page, root);
  },
};

// A page of another folder and, over http, another origin, with our figure in it.
async function framed(page, host, name, body) {
  writeFileSync(join(asked.outside, name), `<!DOCTYPE html><html lang="en"><title>Host</title><link rel="icon" href="data:,">${body}</html>`);
  await page.goto(host + name); // a name of its own: the host lets a browser keep what it has read
}

// The figure inside shows whole: nothing to scroll in its frame, and no room left under it.
async function fits(page, root) {
  const frame = page.frames().find((one) => one.url().startsWith(root));
  holds(frame, "the frame shows no page of the site");
  const over = await frame.evaluate(() => [document.documentElement.scrollHeight - innerHeight, innerHeight - document.querySelector(".taken").getBoundingClientRect().bottom]);
  holds(over[0] <= 0, `${over[0]} px of the figure are out of sight`);
  holds(over[1] < 40, `${over[1]} px of empty room under the figure`);
}

// -- all of them ----------------------------------------------------------------------------------------------------------

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: asked.firefox,
  headless: true,
  extraPrefsFirefox: { "security.fileuri.strict_origin_policy": true }, // off in a driven Firefox, on in a reader's
});
console.log(await browser.version());
let failed = 0;
for (const [name, check] of Object.entries(CHECKS)) {
  const told = [];
  for (const place of ["file", "http"]) {
    const page = await watched(browser);
    try {
      await check(page, asked.places[place], asked.hosts[place]);
      same(page.problems, [], "the console");
      told.push(`${place} good`);
    } catch (error) {
      failed += 1;
      told.push(`${place} FAILED (${error.message.split("\n")[0].slice(0, 300)})`);
    }
    await page.close();
  }
  console.log(`  ${name.padEnd(46)}${told.join("  ")}`);
}
await browser.close();
process.exit(failed ? 1 : 0);

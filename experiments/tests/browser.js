// Opens the report as phone and as desktop, in a frame of each width, and says what is wrong with it.
"use strict";
const wrong = [];
const expect = (what, fine) => { if (!fine) wrong.push(what); };

// WCAG 2.2, 1.4.3: relative luminance and contrast.
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const contrast = (a, b) => {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
};
const colour = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const background = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const found = colour(e.ownerDocument.defaultView.getComputedStyle(e).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found.slice(0, 3);
  }
  return [255, 255, 255];
};

function check(page, width) {
  const doc = page.document;
  const at = (what) => `${width} px: ${what}`;
  expect(at(`the page is ${doc.documentElement.scrollWidth} px wide`), doc.documentElement.scrollWidth <= width);
  expect(at("no title or language"), doc.title !== "" && doc.documentElement.lang === "en");
  const levels = [...doc.querySelectorAll("h1, h2, h3")].map((h) => Number(h.tagName[1]));
  expect(at("headings skip a level"), levels[0] === 1 && levels.every((l, i) => i === 0 || l <= levels[i - 1] + 1));
  for (const svg of doc.querySelectorAll("svg")) {
    const named = svg.getAttribute("aria-label") || svg.querySelector("title")?.textContent || svg.closest("[aria-label]")?.getAttribute("aria-label");
    expect(at("a figure without alternative text"), named);
  }
  for (const e of doc.querySelectorAll("h1, h2, p, li, dt, dd, b, th, td, small, caption, figcaption, summary, code, input, th button")) {
    if (e.checkVisibility && !e.checkVisibility()) continue;
    const found = contrast(colour(page.getComputedStyle(e).color), background(e));
    expect(at(`contrast ${found.toFixed(2)} of <${e.tagName}> ${e.textContent.slice(0, 30)}`), found >= 4.5);
  }
  for (const e of doc.querySelectorAll("button, input, summary, .scroll, .sheet")) {
    if (e.checkVisibility && !e.checkVisibility()) continue;
    e.focus();
    expect(at(`<${e.tagName} class="${e.className}"> cannot have the focus`), doc.activeElement === e);
  }

  const table = [...doc.querySelectorAll("table")].find((t) => t.caption.textContent.startsWith("Latency"));
  const rows = () => [...table.tBodies[0].rows];
  const button = table.tHead.rows[0].cells[1].querySelector("button");
  const keys = () => rows().map((row) => Number(row.cells[1].dataset.key));
  button.click();
  expect(at("a click does not sort up"), keys().length > 1 && keys().every((k, i, all) => i === 0 || all[i - 1] <= k));
  expect(at("the order is not announced"), button.parentElement.getAttribute("aria-sort") === "ascending");
  button.click();
  expect(at("a second click does not sort down"), keys().every((k, i, all) => i === 0 || all[i - 1] >= k));

  const field = doc.querySelector("input[type=search]");
  expect(at("no long table can be searched"), field !== null);
  const long = field?.nextElementSibling.querySelector("table");
  const shown = () => [...long.tBodies[0].rows].filter((row) => row.offsetHeight > 0).length;
  const search = (text) => { field.value = text; field.dispatchEvent(new page.Event("input")); };
  if (field) {
    const all = shown();
    search(long.tBodies[0].rows[0].cells[0].textContent.toUpperCase());
    expect(at("a search does not find the first row, or finds all"), shown() >= 1 && shown() < all);
    search("nothing is called so");
    expect(at("a search finds what is not there"), shown() === 0);
    search("");
    expect(at("an empty search hides rows"), shown() === all);
  }
}

const opened = WIDTHS.map((width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  frame.srcdoc = REPORT;
  frame.addEventListener("load", () => {
    try { check(frame.contentWindow, width); } catch (e) { wrong.push(`${width} px: ${e}`); }
    done();
  });
  document.body.append(frame);
}));
Promise.all(opened).then(() => {
  const background = document.querySelector("iframe").contentWindow.getComputedStyle(document.querySelector("iframe").contentDocument.body).backgroundColor;
  document.body.replaceChildren();
  document.title = "checked";
  const said = document.createElement("pre");
  said.textContent = `CHECKED on ${background}: ${wrong.length} wrong\n${wrong.join("\n")}`;
  document.body.append(said);
});

// The main rules of WCAG 2.2 A and AA that a script can check, as one function that gives a list of faults.
() => {
  const faults = [];
  const say = (rule, element) => faults.push(`${rule}: ${element.outerHTML.slice(0, 140)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.getClientRects().length > 0;
  const label = (element) =>
    element.getAttribute("aria-label") ||
    (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();

  if (!document.documentElement.lang) say("html has a lang", document.documentElement);
  if (!document.title.trim()) say("page has a title", document.documentElement);
  if (all("main").length !== 1) say("one main landmark", document.body);
  for (const landmark of ["header", "nav", "footer"]) if (!all(landmark).length) say(`landmark ${landmark}`, document.body);
  for (const element of all("nav, [role=region], section, article")) if (!label(element)) say("named region", element);
  const names = all("[role=region], section, nav").map(label);
  for (const name of names) if (names.filter((other) => other === name).length > 1) faults.push(`region names differ: ${name}`);

  if (all("h1").length !== 1) say("one h1", document.body);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) say(`heading order h${level} to h${own}`, heading);
    if (!heading.textContent.trim()) say("heading has text", heading);
    level = own;
  }

  for (const image of all("img")) if (!(image.getAttribute("alt") || "").trim()) say("image has an alt text", image);
  for (const svg of all("svg"))
    if (svg.getAttribute("aria-hidden") !== "true" && !(svg.getAttribute("role") === "img" && label(svg))) say("svg is named or hidden", svg);

  const ids = all("[id]").map((element) => element.id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) faults.push(`id is unique: ${id}`);
  for (const link of all("a[href^='#']"))
    if (!document.getElementById(decodeURIComponent(link.getAttribute("href").slice(1)))) say("link leads somewhere", link);
  for (const element of all("a, button, summary")) if (!element.textContent.trim() && !label(element)) say("control has a name", element);
  for (const element of all("[aria-labelledby]"))
    for (const id of element.getAttribute("aria-labelledby").split(" ")) if (!document.getElementById(id)) say("labelledby exists", element);

  for (const table of all("table")) {
    if (!table.querySelector("thead th")) say("table has headings", table);
    for (const cell of table.querySelectorAll("th"))
      if (!["col", "row", "colgroup", "rowgroup"].includes(cell.scope)) say("heading has a scope", cell);
    const width = table.querySelector("tr")?.cells.length;
    for (const row of table.rows) if (row.cells.length !== width) say("rows are equally long", row);
  }
  for (const list of all("ul, ol")) for (const child of list.children) if (child.tagName !== "LI") say("lists hold items", list);
  for (const list of all("dl"))
    for (const child of list.children) if (!["DT", "DD", "DIV"].includes(child.tagName)) say("definition lists hold terms", list);
  for (const summary of all("summary")) if (summary.parentElement.tagName !== "DETAILS") say("summary in details", summary);
  for (const details of all("details")) if (details.firstElementChild?.tagName !== "SUMMARY") say("details has a summary", details);
  for (const element of all("*")) {
    if (!shown(element)) continue;
    const style = getComputedStyle(element);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1;
    if (scrolls && element.tabIndex < 0) say("what scrolls takes the focus", element);
  }

  // Contrast of text against the nearest painted background (WCAG 1.4.3).
  const parse = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let place = element; place; place = place.parentElement) {
      const colour = parse(getComputedStyle(place).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(element) || !shown(element) || element.closest(".sr, .skip")) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    const [low, high] = [luminance(ink), luminance(behind(element))].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, element);
  }

  // Targets of at least 24 px, links within a sentence excepted (WCAG 2.5.8).
  for (const element of all("summary, nav a, button")) {
    if (!shown(element)) continue;
    const box = element.getBoundingClientRect();
    if (box.height < 24 || box.width < 24) say(`target ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`, element);
  }
  return faults;
}

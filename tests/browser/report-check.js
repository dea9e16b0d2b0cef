// Runs inside a rendered report (appended to a copy of it by report.sh) and sends its findings to the page around it: every chart
// is drawn, no text overlaps another or leaves its chart, nothing is wider than the window.
addEventListener("load", () => {
  const results = [];
  const check = (name, good, detail) => results.push((good ? "ok " : "FAIL ") + name + (good ? "" : ": " + detail));
  const wide = innerWidth;
  const seen = (e) => e.getBoundingClientRect().width > 0;
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;

  const figures = [...document.querySelectorAll("figure")];
  check("charts", figures.length >= window.expectedCharts, figures.length + " of " + window.expectedCharts);
  for (const figure of figures) {
    const charts = [...figure.querySelectorAll("svg.chart")].filter(seen);
    check(figure.id + " shows one chart", charts.length === 1, charts.length + " visible");
    if (charts.length !== 1) continue;
    const box = charts[0].getBoundingClientRect();
    const curves = [...charts[0].querySelectorAll("g[clip-path] path.c")].filter((p) => p.getTotalLength() > 40);
    const drawn = [...charts[0].querySelectorAll("g[clip-path] path.m")].length;
    check(figure.id + " has curves", curves.length >= window.expectedCurves, curves.length + " curves");
    check(figure.id + " has markers", drawn >= curves.length, drawn + " markers");
    check(figure.id + " has tooltips", charts[0].querySelectorAll("title").length >= curves.length, "too few <title>");
    check(figure.id + " is named", charts[0].getAttribute("role") === "img" && charts[0].getAttribute("aria-label") && figure.querySelector("figcaption b"), "no label");
    const colours = new Set(curves.map((p) => getComputedStyle(p).stroke + p.getAttribute("stroke-dasharray")));
    check(figure.id + " tells curves apart", colours.size === curves.length, colours.size + " looks for " + curves.length + " curves");
    const texts = [...charts[0].querySelectorAll("text")].map((t) => ({ text: t.textContent, box: t.getBoundingClientRect(), size: parseFloat(getComputedStyle(t).fontSize) * box.width / charts[0].viewBox.baseVal.width }));
    check(figure.id + " has text", texts.length >= 8, texts.length + " texts");
    const small = texts.filter((t) => t.size < 10.5);
    check(figure.id + " can be read", small.length === 0, small.map((t) => t.text + " at " + t.size.toFixed(1)).join(", "));
    const pairs = [];
    texts.forEach((a, i) => texts.slice(i + 1).forEach((b) => overlap(a.box, b.box) && pairs.push(a.text + " / " + b.text)));
    check(figure.id + " has no overlapping text", pairs.length === 0, pairs.join(", "));
    const outside = texts.filter((t) => t.box.left < box.left - 2 || t.box.right > box.right + 2 || t.box.top < box.top - 2 || t.box.bottom > box.bottom + 2);
    check(figure.id + " holds its text", outside.length === 0, outside.map((t) => t.text).join(", "));
    const marks = [...charts[0].querySelectorAll(":scope > g:not([clip-path]) path.m")].map((m) => m.getBoundingClientRect());
    const hit = texts.filter((t) => marks.some((m) => overlap(t.box, m)));
    check(figure.id + " legend markers are clear of text", hit.length === 0, hit.map((t) => t.text).join(", "));
  }

  const page = document.documentElement;
  check("no sideways scrolling", page.scrollWidth <= wide, page.scrollWidth + " > " + wide);
  const out = [...document.body.querySelectorAll("*")].filter((e) => seen(e) && !e.closest("svg") && !e.closest(".scroll") && !e.closest("thead") && e.getBoundingClientRect().right > wide + 1);
  check("nothing leaves the window", out.length === 0, out.slice(0, 3).map((e) => e.tagName + "." + e.className).join(", "));
  const rows = [...document.querySelectorAll(".models tbody tr")];
  check("one row for each model", rows.length === window.expectedModels && rows.every(seen), rows.length);
  const cells = [...document.querySelectorAll(".models td")].map((c) => c.getBoundingClientRect()).filter((b) => b.width > 0);
  check("cells do not overlap", !cells.some((a, i) => cells.slice(i + 1, i + 14).some((b) => overlap(a, b))), "overlap");
  const parts = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const light = (colour) => parts(colour).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => (Math.max(light(colour), back) + 0.05) / (Math.min(light(colour), back) + 0.05);
  check("theme", (back < 0.1) === matchMedia("(prefers-color-scheme: dark)").matches, "background does not follow the theme");
  const pale = [...document.querySelectorAll("p,dt,dd,td,th,h1,h2,figcaption,.chart text")].filter((e) => seen(e)).filter((e) => contrast(e.closest(".chart") ? getComputedStyle(e).fill : getComputedStyle(e).color) < 4.5);
  check("text contrast", pale.length === 0, pale.length + " texts below 4.5");
  const faint = [...document.querySelectorAll(".chart path.c")].filter(seen).filter((e) => contrast(getComputedStyle(e).stroke) < 3);
  check("curve contrast", faint.length === 0, faint.length + " curves below 3");
  check("no requests", performance.getEntriesByType("resource").length === 0, "something was fetched");
  parent.postMessage({ width: wide, dark: matchMedia("(prefers-color-scheme: dark)").matches, results }, "*");
});

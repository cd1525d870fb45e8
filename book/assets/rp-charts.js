/* Draws the charts of a page, with no network and no kernel.
 *
 * A chart arrives as a box and a queued pair (id, Vega-Lite specification); see rp_tutorial/figures/base.py. This file
 * fits it to the page's width, follows the theme between light and dark, and keeps the sliders where the reader
 * put them when it has to draw again. Views are kept in window.rpViews. What a chart shows is decided in Python.
 */
(function () {
  "use strict";

  const ROOM_FOR_AXES = 90; // a plot this much narrower than its box leaves room for labels and legend
  const NARROWEST = 120; // pixels: a plot narrower than this says nothing, scrolling is better
  const PHONE = 480; // pixels: in a box narrower than this, long names and titles take two lines
  const LOG = "log₁₀ "; // a slider with such a label moves the logarithm; what is shown is what it is the logarithm of
  const drawn = new Map(); // id -> {spec, width, dark, result, drawing}

  window.rpViews = window.rpViews || {};
  window.rpQueue = window.rpQueue || [];

  function isDark() {
    return document.documentElement.dataset.theme === "dark";
  }

  function config(dark) {
    const ink = dark ? "#e6e6e6" : "#222832";
    const line = dark ? "#8b949e" : "#6b7280";
    const grid = dark ? "#3b434d" : "#e3e6ea";
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: "transparent" },
      title: { color: ink, subtitleColor: ink },
      axis: {
        labelColor: ink, titleColor: ink, domainColor: line, tickColor: line, gridColor: grid,
        labelFontSize: 12, titleFontSize: 12,
      },
      legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12 },
      header: { labelColor: ink, titleColor: ink },
      style: { "guide-label": { fill: ink }, "guide-title": { fill: ink }, "group-title": { fill: ink } },
      text: { color: ink },
      rule: { color: line },
    };
  }

  function isSingle(spec) {
    return !["hconcat", "vconcat", "concat", "facet", "repeat", "spec"].some((key) => key in spec) &&
      !hasFacetChannel(spec.encoding);
  }

  function hasFacetChannel(encoding) {
    return Boolean(encoding && (encoding.row || encoding.column || encoding.facet));
  }

  // The plots that stand one below the other in a chart, and so can share its width; several abreast cannot.
  function stacked(spec) {
    if (spec.vconcat) return spec.vconcat.flatMap(stacked);
    const oneColumn = (spec.facet && spec.facet.row && !spec.facet.column) || spec.columns === 1;
    if (spec.spec && oneColumn) return stacked(spec.spec);
    return isSingle(spec) ? [spec] : [];
  }

  // A single plot wider than its box is made narrower; plots side by side scroll inside their box.
  function fitted(spec, width) {
    const copy = JSON.parse(JSON.stringify(spec));
    copy.background = "transparent";
    if (width < PHONE) {
      broken(copy);
      for (const plot of stacked(copy)) if (hasNamedRows(plot)) plot.height *= 1.4;
    }
    const wanted = typeof copy.width === "number" ? copy.width : 400;
    if (isSingle(copy) && (copy.width === "container" || wanted + ROOM_FOR_AXES > width)) {
      copy.width = width;
      copy.autosize = { type: "fit-x", contains: "padding" };
    }
    return copy;
  }

  // An expression of Vega: a name of more than so many letters in two lines.
  function twoLines(length) {
    return `split(replace(datum.label, regexp('^(.{1,${length}}) (.+)$'), '$1\\n$2'), '\\n')`;
  }

  function hasNamedRows(part) {
    const y = (part.encoding || {}).y;
    return typeof part.height === "number" && Boolean(y) && isNamed(y) || (part.layer || []).some((layer) =>
      hasNamedRows({ ...layer, height: part.height }));
  }

  function isNamed(channel) {
    return ["nominal", "ordinal"].includes(channel.type) && channel.axis !== null;
  }

  // Long names of rows and panels, and long titles, in two lines each.
  function broken(part) {
    if (!part || typeof part !== "object") return;
    for (const [key, value] of Object.entries(part)) {
      if (key === "data" || key === "datasets" || !value || typeof value !== "object") continue;
      if (key === "y" && isNamed(value)) {
        value.axis = { labelLineHeight: 11, labelFontSize: 11, ...value.axis, labelExpr: twoLines(24) };
      }
      if (key === "x" && value.axis !== null && (value.title || (value.axis || {}).title)) {
        value.axis = { titleFontSize: 11, ...value.axis, title: inLines((value.axis || {}).title || value.title, 22) };
      }
      if ("header" in value) value.header = { ...value.header, labelExpr: twoLines(30) };
      broken(value);
    }
    if (typeof part.title === "string" && !part.field) part.title = inLines(part.title, 44);
  }

  // A long text as lines of whole words.
  function inLines(text, length) {
    if (typeof text !== "string" || text.length <= length) return text;
    const lines = [""];
    for (const word of text.split(" ")) {
      const last = lines.length - 1;
      if (lines[last] && lines[last].length + word.length >= length) lines.push(word);
      else lines[last] += (lines[last] ? " " : "") + word;
    }
    return lines;
  }

  async function embed(box, spec, dark) {
    const options = { actions: false, renderer: "svg", tooltip: true, config: config(dark) };
    let fitting = true;
    for (;;) {
      const result = await window.vegaEmbed(box, spec, options);
      // A legend that does not fit loses columns, one at a time; then the plots lose width, once.
      if (!(legendIsCut(box) && thinner(spec))) {
        if (!(fitting && resized(box, spec, result.view))) return result;
        fitting = false;
      }
      result.finalize();
      box.replaceChildren();
    }
  }

  function legendIsCut(box) {
    const frame = box.getBoundingClientRect();
    return [...box.querySelectorAll(".role-legend text")].some((text) => {
      const place = text.getBoundingClientRect();
      return place.right > frame.right + 1 || place.left < frame.left - 1;
    });
  }

  function legendsOf(part) {
    if (!part || typeof part !== "object") return [];
    const own = part.legend && typeof part.legend === "object" ? [part.legend] : [];
    return own.concat(...Object.entries(part).filter(([key]) => key !== "legend" && key !== "datasets" && key !== "data")
      .map(([, value]) => legendsOf(value)));
  }

  // Takes a column from the legends that have most of them, and at last breaks their names; false where all that is done.
  function thinner(spec) {
    spec.config = spec.config || {};
    spec.config.legend = spec.config.legend || {};
    const legends = [spec.config.legend, ...legendsOf(spec)];
    const columns = (legend) => legend.columns || 3; // where nothing is said, all stand in one row
    const most = Math.max(...legends.map(columns));
    if (most === 1) return legends.map((legend) => {
      const whole = !legend.labelExpr && legend !== spec.config.legend;
      if (whole) legend.labelExpr = twoLines(20);
      return whole;
    }).some(Boolean);
    for (const legend of legends) if (columns(legend) === most) legend.columns = most - 1;
    return true;
  }

  // Labels and legends keep their size, so the plots give way; where nothing would be left of a plot, its box scrolls.
  function resized(box, spec, view) {
    if (isSingle(spec)) {
      const missing = spec.autosize ? Math.ceil(NARROWEST - view.width()) : 0;
      if (missing > 0) spec.width += missing;
      return missing > 0;
    }
    const excess = Math.ceil(box.querySelector("svg").getBoundingClientRect().width - box.clientWidth);
    const plots = excess > 0 ? stacked(spec).filter((plot) => plot.width - excess >= NARROWEST) : [];
    for (const plot of plots) plot.width -= excess;
    return plots.length > 0;
  }

  function sliderState(entry) {
    if (!entry.result) return null;
    const bound = (entry.result.vgSpec.signals || []).filter((signal) => signal.bind).map((signal) => signal.name);
    return bound.length ? entry.result.view.getState({ signals: (name) => bound.includes(name), data: () => false }) : null;
  }

  // What a slider stands for, as a number of the page: shown beside it, and said by a screen reader.
  function valueOf(slider) {
    const value = Number(slider.value);
    if (!slider.dataset.log) return value.toLocaleString("en", { maximumFractionDigits: 3 });
    const number = 10 ** value;
    return number >= 1 ? Math.round(number).toLocaleString("en") : String(Number(number.toPrecision(2)));
  }

  function tellValues(box) {
    for (const slider of box.querySelectorAll('.vega-bind input[type="range"]')) {
      const name = slider.closest(".vega-bind").querySelector(".vega-bind-name");
      if (name.textContent.startsWith(LOG)) {
        name.textContent = name.textContent.slice(LOG.length);
        slider.dataset.log = "yes";
      }
      const tell = () => {
        const value = valueOf(slider);
        slider.nextElementSibling.textContent = value;
        slider.setAttribute("aria-valuetext", value);
      };
      for (const event of ["input", "change"]) slider.addEventListener(event, tell); // after Vega's own, which show the logarithm
      tell();
    }
  }

  function describe(box, spec) {
    tellValues(box);
    if (spec.description) box.setAttribute("aria-label", spec.description);
    // An element with the role "img" hides its children, sliders included, from a screen reader.
    if (box.querySelector(".vega-bind")) box.setAttribute("role", "group");
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    // Vega gives a layer without a mark the role of a picture, and a picture has to have a name.
    for (const empty of box.querySelectorAll('svg g[role="graphics-symbol"]:empty')) empty.removeAttribute("role");
  }

  function isStale(entry, box) {
    // A few pixels are a scroll bar that came or went, not another page width.
    return entry.dark !== isDark() || Math.abs(entry.width - box.clientWidth) > 20;
  }

  async function draw(id) {
    const entry = drawn.get(id);
    const box = document.getElementById(id);
    if (!box || entry.drawing || box.clientWidth === 0) return; // no width: inside a closed solution
    entry.drawing = true;
    const state = sliderState(entry);
    entry.dark = isDark();
    entry.width = box.clientWidth;
    try {
      if (entry.result) entry.result.finalize();
      box.replaceChildren();
      entry.result = await embed(box, fitted(entry.spec, entry.width), entry.dark);
      if (state) entry.result.view.setState(state);
      await entry.result.view.runAsync();
      window.rpViews[id] = entry.result.view;
      describe(box, entry.spec);
      box.dataset.drawn = entry.dark ? "dark" : "light";
    } finally {
      entry.drawing = false;
    }
    if (box.clientWidth > 0 && isStale(entry, box)) draw(id);
  }

  let pending = 0;
  function redrawSoon() {
    window.clearTimeout(pending);
    pending = window.setTimeout(function () {
      for (const [id, entry] of drawn) {
        const box = document.getElementById(id);
        if (box && isStale(entry, box)) draw(id);
      }
    }, 100);
  }

  const boxes = new ResizeObserver(redrawSoon);

  window.rpEmbed = function (id, spec) {
    const known = drawn.get(id);
    if (known) known.spec = spec;
    else drawn.set(id, { spec: spec, width: 0, dark: false, result: null, drawing: false });
    const box = document.getElementById(id);
    if (box) boxes.observe(box); // the window's width, a closed solution that opens
    return draw(id);
  };

  window.rpFlush = function () {
    for (const [id, spec] of window.rpQueue.splice(0)) window.rpEmbed(id, spec);
  };

  new MutationObserver(redrawSoon).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.rpFlush();
})();

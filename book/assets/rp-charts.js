/* Draws the charts of a page, with no network and no kernel.
 *
 * A chart arrives as a box and a queued pair (id, Vega-Lite specification); see rp_tutorial/figures/base.py. This file
 * fits it to the page's width, follows the theme between light and dark, and keeps the sliders where the reader
 * put them when it has to draw again. Views are kept in window.rpViews. What a chart shows is decided in Python.
 */
(function () {
  "use strict";

  const ROOM_FOR_AXES = 90; // a plot this much narrower than its box leaves room for labels and legend
  const NARROWEST = 160; // pixels: a plot narrower than this says nothing, scrolling is better
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
    const wanted = typeof copy.width === "number" ? copy.width : 400;
    if (isSingle(copy) && (copy.width === "container" || wanted + ROOM_FOR_AXES > width)) {
      copy.width = width;
      copy.autosize = { type: "fit-x", contains: "padding" };
    }
    return copy;
  }

  async function embed(box, spec, dark) {
    const options = { actions: false, renderer: "svg", tooltip: true, config: config(dark) };
    const result = await window.vegaEmbed(box, spec, options);
    if (!resized(box, spec, result.view)) return result;
    result.finalize();
    box.replaceChildren();
    return window.vegaEmbed(box, spec, options);
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

  function describe(box, spec) {
    if (spec.description) box.setAttribute("aria-label", spec.description);
    // An element with the role "img" hides its children, sliders included, from a screen reader.
    if (box.querySelector(".vega-bind")) box.setAttribute("role", "group");
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
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

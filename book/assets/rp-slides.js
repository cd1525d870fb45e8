/* Slides: all of them stand one below the other, so reading, printing and a phone need no script.
 *
 * Here are the keys (arrows, space, Page Up and Down, Home, End; D for the other theme), the theme of the system, and
 * what MathJax has to know. Which slides there are is decided in tools/slides.py.
 */
(function () {
  "use strict";

  const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  window.MathJax = { options: { processHtmlClass: "math" } };

  function follow() {
    root.dataset.theme = dark.matches ? "dark" : "light";
  }

  function slides() {
    return [...document.querySelectorAll(".slide")];
  }

  // The slide in the middle of the window.
  function current() {
    return slides().findIndex((slide) => slide.getBoundingClientRect().bottom > window.innerHeight / 2);
  }

  function show(index) {
    const slide = slides()[Math.min(Math.max(index, 0), slides().length - 1)];
    slide.scrollIntoView();
    history.replaceState(null, "", "#" + slide.id);
  }

  function target(event) {
    if (event.key === " ") return current() + (event.shiftKey ? -1 : 1);
    if (event.key === "Home") return 0;
    if (event.key === "End") return slides().length - 1;
    return event.key in STEPS ? current() + STEPS[event.key] : null;
  }

  function answer(event) {
    // A slider of a chart has its own use for the arrows, a link for the space bar.
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, a, button, [tabindex]")) return;
    const index = target(event);
    if (index !== null) {
      event.preventDefault();
      show(index);
    } else if (event.key === "d") {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    }
  }

  follow();
  dark.addEventListener("change", follow);
  document.addEventListener("keydown", answer);
})();

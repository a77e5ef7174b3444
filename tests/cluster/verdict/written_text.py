"""YAML as people write it, and then some: scalars and whole documents by chance, some of them broken."""

import json
from random import Random

HEAD = "apiVersion: v1\nkind: Text\n"
"""Without it kubectl takes nothing for an object."""

LOOKALIKES = (
    *("yes", "no", "On", "off", "y", "N", "true", "False", "TRUE", "tRUE", "null", "~", "NULL", "", "nan", "<<", "="),
    *("017", "08", "0o17", "0O17", "0x1F", "0b11", "0b-1", "1_000", "1__0", "+1", "-0", "1.", "+.5", "09.5", "-0.0"),
    *("1e3", "1E+5", "1e400", "1e-400", "5e-324", ".inf", "-.INF", ".nan", "12:30", "190:20:30", "1:2.5"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *("2024-01-01", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5"),
)
WORDS = (
    *("x", "shop", "a b", "a, b", "it's", "x:y", "a#b", "100m", "25%", "-a", "http://x:80/?b#c", "a\\n", "é", "😀"),
    *("\u00a0", "\u3000", "\u200b", "'", "''", '"', "\\", "\t", "a\tb", "a\nb", "\na", "a\n", "a\n\n", " a", "a "),
    *(
        "x: y",
        "a #b",
        "@x",
        "`x",
        "%x",
        "!x",
        "!!str x",
        "&x",
        "*x",
        "- a",
        "? a",
        "[a",
        "a]",
        "{a",
        "a}",
        "|",
        ">",
        "#",
    ),
    *("---", "--- a", "..."),
)
NUMERIC = "0123456789._+-eExXoObB:aAfFnNiItT_"
SAFE = ("x", "shop", "a b", "1", "0.5", "true", "yes", "x:y", "a#b", "12:30", "1e3", "~", "é", "it's", "0o17", "100m")
KEYS = (*"abcdefg", "a b", "a.b/c", "'x'", '"y"', "é", "-a", "a#", "k" * 130)
ODD_KEYS = ("on", "1", "~", "1.5", "<<", "? a\n", "? ", "[a]", "!!str a", "&a b", "*a")
LINES = ("x", "x", "", "  x", "# x", "- y: z", "x ", "x: |", "é", "...", "--- #", "\ty")
NODES = (
    *("", "[]", "{}", "[a, b, ]", "{a: b, c}", "{a, 'b':1}", "[a: b, c]", "{\n@a: [b,\n@c]}", "plain\n@goes on"),
    *('"folds\n@ \\\n@on"', "'x\n\n@y'", "&a x", "&a {b: c}"),
)
ODD_NODES = (
    "*a",
    "!!str 1",
    "!!int '1'",
    "!!binary aGk=",
    "!x y",
    ".inf",
    "|\n \n@  x",
    ">#c",
    "\t1",
    "18446744073709551615",
)
SLIPS = (
    *(" ", "\t", "\n", "\n\n", "\r", "\r\n", *"-:?#&*!|>'\"%@`[]{},~\\0y.=<", ": ", " #", "- ", "  ", "\n  ", "\\x41"),
    *(
        "\ufeff",
        "\x85",
        "\u2028",
        "\x07",
        "\x7f",
        "\xa0",
        "\ufffe",
        "\\ud83d",
        f"\n---\n{HEAD}",
        f"---\n{HEAD}",
        "...\n",
    ),
)


def scalar(dice: Random) -> str:
    """Return what may stand for a plain scalar: a known trap, digits and signs, or a trap with a character too many."""
    if dice.random() < 0.2:
        return dice.choice(LOOKALIKES + WORDS)
    if dice.random() < 0.6:
        return "".join(dice.choices(NUMERIC, k=dice.randint(1, 8)))
    if dice.random() < 0.4:
        return "".join(dice.choices("0123456789", k=dice.randint(1, 25)))
    text = dice.choice(LOOKALIKES + WORDS)
    place = dice.randint(0, len(text))
    return text[:place] + dice.choice(NUMERIC + " :#-,?!&*|>'\"%@`[]{}~=\\") + text[place:]


def document(dice: Random) -> str:
    """Return a document of any style; in half of them, a slip or two."""
    text = HEAD + _mapping(dice, "", dice.choice([1, 1, 2, 3]))
    for _ in range(dice.choice([0, 0, 0, 1, 1, 2])):
        start = dice.randint(len(HEAD), len(text))
        text = text[:start] + dice.choice(SLIPS) + text[start + dice.choice([0, 0, 0, 1, 1, 3]) :]
    if dice.random() < 0.1:
        start = dice.randint(len(HEAD), len(text))
        text = f"{text[:start]}\n---\n{HEAD}{text[start:]}"
    if dice.random() < 0.1:
        text = text.replace("\n", "\r\n")
    return text.rstrip("\n") if dice.random() < 0.1 else text


def _mapping(dice: Random, margin: str, depth: int) -> str:
    lines = ""
    for _ in range(dice.randint(1, 4)):
        colon = " :" if dice.random() < 0.1 else ":"
        lines += f"{_between(dice, margin)}{margin}{_key(dice)}{colon}{_node(dice, margin, depth)}"
    return lines


def _sequence(dice: Random, margin: str, depth: int) -> str:
    items = ""
    for _ in range(dice.randint(1, 3)):
        compact = depth and dice.random() < 0.3
        inner = f" {_mapping(dice, margin + '  ', depth - 1).lstrip()}" if compact else _node(dice, margin, depth)
        items += f"{margin}-{inner}"
    return items


def _node(dice: Random, margin: str, depth: int) -> str:
    """Return what follows the colon or the dash."""
    end = dice.choice(["", "", "", " # c", " "]) + "\n"
    kind = dice.random()
    if depth == 0 or kind < 0.35:
        return f" {_leaf(dice, margin + '  ')}{end}"
    if kind < 0.45:
        return f" {_flow(dice, 2)}{end}"
    if kind < 0.75:
        return end + _mapping(dice, margin + dice.choice(["  ", "  ", " ", "    "]), depth - 1)
    return end + _sequence(dice, margin + dice.choice(["", "  "]), depth - 1)


def _key(dice: Random) -> str:
    kind = dice.random()
    if kind < 0.02:
        return dice.choice(ODD_KEYS)
    return dice.choice(KEYS) if kind < 0.2 else "".join(dice.choices("abcdefghxyz_-.", k=dice.randint(4, 7)))


def _leaf(dice: Random, margin: str) -> str:
    text = scalar(dice) if dice.random() < 0.15 else dice.choice(SAFE)
    kind = dice.random()
    if kind < 0.4:
        return text
    if kind < 0.55:
        return json.dumps(text, ensure_ascii=dice.random() < 0.5)
    if kind < 0.65:
        return "'" + text.replace("'", "''") + "'"
    if kind < 0.85:
        return _block(dice, margin)
    return dice.choice(NODES if kind < 0.98 else ODD_NODES).replace("@", margin)


def _block(dice: Random, margin: str) -> str:
    lines = dice.choices(LINES, k=dice.randint(0, 4))
    margin += dice.choice(["", "", " ", "  "])
    indicator = dice.choice(["", "", "-", "-", "+", "+", "2", "-2", "2-", "+1", "1"])
    head = dice.choice("|>") + indicator + dice.choice(["", " ", " # c"])
    return head + "".join(f"\n{margin}{line}" if line or dice.random() < 0.3 else "\n" for line in lines)


def _flow(dice: Random, depth: int) -> str:
    if depth == 0:
        text = scalar(dice) if dice.random() < 0.15 else dice.choice(SAFE)
        return dice.choice([text, json.dumps(text)])
    inner = [_flow(dice, depth - 1) for _ in range(dice.randint(0, 3))]
    if dice.random() < 0.5:
        inner = [f"{_key(dice)}{dice.choice([': ', ': ', ' : '])}{each}" for each in inner]
        return "{" + ", ".join(inner) + dice.choice(["}", " }"])
    return "[" + ", ".join(inner) + dice.choice(["]", " ]"] + [",]"] * bool(inner))


def _between(dice: Random, margin: str) -> str:
    return dice.choice(["", "", "", "", "", "# c\n", f"{margin}# c\n", "\n", " \n", "#\n"])


ODD_CHARACTERS = (
    *("\x00", "\x07", "\x1b", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\U0001ffff"),
    *("\r", "\r\n", "\n", "\n\n", "\t", " ", "  ", *"-:?#&*!|>'\"%@`[]{},~\\/=<$", "---\n", "...\n", "{{ x }}", "$(X)"),
)


def string(dice: Random) -> str:
    """Return text of any kind: what looks like something else, odd characters, several lines, very long."""
    kind = dice.random()
    if kind < 0.4:
        return scalar(dice)
    if kind < 0.8:
        parts = dice.choices(LOOKALIKES + WORDS + ODD_CHARACTERS * 2, k=dice.randint(1, 8))
        return "".join(parts)
    if kind < 0.98:
        codes = [dice.choice([dice.randrange(0x100), dice.randrange(0xD800), dice.randrange(0xE000, 0x110000)])]
        return "".join(map(chr, codes + [dice.randrange(0xD800) for _ in range(dice.randint(0, 5))]))
    return dice.choice(WORDS + ODD_CHARACTERS) * dice.randint(100, 2000)


def quantity(dice: Random) -> str:
    """Return a quantity that is not negative."""
    digits = "".join(dice.choices("0123456789", k=dice.choice([1, 2, 3, 4, 4, 7, 12, 19])))
    if dice.random() < 0.4:
        digits += "0" * dice.choice([0, 3, 6])
    point = dice.randint(0, len(digits)) if dice.random() < 0.4 else None
    number = digits if point is None else f"{digits[:point]}.{digits[point:]}"
    suffix = dice.choice(["", "", *"numkMGTPE", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2", "e+06", "e1", "e-9"])
    return dice.choice(["", "", "", "+"]) + number + suffix

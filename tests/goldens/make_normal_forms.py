"""Makes src/text/normal_form_tables.inc: the code points that the `tokenizers` package's normalisers leave alone, though
a later Unicode composes, decomposes or orders them.

    python tests/goldens/make_normal_forms.py [--check]

--check: writes nothing and fails where the file differs from what the package says. Needs tokenizers 0.23.3.
"""

import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import normalizers

OUT = Path(__file__).parents[2] / "src/text/normal_form_tables.inc"
NFD, NFKD = normalizers.NFD(), normalizers.NFKD()


def is_inert(c):
    """Neither decomposed nor ordered by the package."""
    if NFKD.normalize_str(chr(c)) != chr(c):
        return False
    # a mark changes places with one of the highest or of the lowest class before it, whatever its own
    tests = ["a\u0345" + chr(c), "a" + chr(c) + "\u0334"]
    return all(NFD.normalize_str(t) == t for t in tests)


def may_act(c):
    if unicodedata.category(chr(c)) == "Cn":
        return True  # younger than Python's tables
    return unicodedata.combining(chr(c)) != 0 or unicodedata.normalize("NFKD", chr(c)) != chr(c)


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    inert = [c for c in range(0xA0, 0x30000) if not 0xD800 <= c < 0xE000 and may_act(c) and is_inert(c)]
    known = [c for c in inert if unicodedata.category(chr(c)) != "Cn"]
    ranges = []
    for c in inert:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    items, line, lines = [f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges], "", []
    for item in items:
        if line and len(line) + len(item) + 1 > 96:
            lines.append("  " + line)
            line = ""
        line += (" " if line else "") + item
    text = (
        f"// Made by tests/goldens/make_normal_forms.py from tokenizers {tokenizers.__version__}; not to be edited.\n\n"
        f"// Left alone by the package's normal forms: {len(known)} code points that Unicode\n"
        f"// {unicodedata.unidata_version} decomposes or orders, and those that it does not know.\n"
        "constexpr Range kInert[] = {\n" + "\n".join(lines + ["  " + line]) + "\n};\n"
    )
    if "--check" in sys.argv[1:]:
        if OUT.read_text() != text:
            sys.exit(f"{OUT} is not what tokenizers {tokenizers.__version__} says")
    else:
        OUT.write_text(text)


if __name__ == "__main__":
    main()

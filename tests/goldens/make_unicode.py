"""Makes src/text/unicode_tables.inc: the character classes of the `tokenizers` package, asked of the package itself.

    python tests/goldens/make_unicode.py [--check]

--check: writes nothing and fails where the file differs from what the package says. Needs tokenizers 0.23.3.
"""

import sys
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUT = Path(__file__).parents[2] / "src/text/unicode_tables.inc"
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
# the order of the enum Category
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
SCRIPTS = "Arabic Cyrillic Devanagari Greek Han Hangul Hebrew Hiragana Katakana Latin Thai".split()
CHUNK = 1 << 14


def matches(pre, code_points):
    """The code points that lie in the pieces that a pre-tokenizer leaves."""
    found = set()
    for i in range(0, len(code_points), CHUNK):
        part = code_points[i : i + CHUNK]
        for _, (begin, end) in pre.pre_tokenize_str("".join(map(chr, part))):
            found.update(part[begin:end])
    return found


def regex_class(pattern, code_points):
    return matches(pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True), code_points)


def find_categories():
    category = {c: CATEGORIES.index("Cs") for c in range(0xD800, 0xE000)}
    rest = ALL
    for name in ["Cn", "Co", "Lo"] + [n for n in CATEGORIES if n not in ("Cn", "Co", "Lo")]:
        found = regex_class(rf"\p{{{name}}}", rest)
        category.update((c, CATEGORIES.index(name)) for c in found)
        rest = [c for c in rest if c not in found]
    assert not rest, rest[:10]
    return category


def find_lower():
    lower = {}
    normalizer = normalizers.Lowercase()
    for i in range(0, len(ALL), CHUNK):
        part = [c for c in ALL[i : i + CHUNK] if c != 10]
        lines = normalizer.normalize_str("\n".join(map(chr, part))).split("\n")
        lower.update((c, line) for c, line in zip(part, lines, strict=True) if chr(c) != line)
    return lower


def find_marks():
    marks = set()
    for i in range(0, len(ALL), CHUNK):
        part = ALL[i : i + CHUNK]
        marks |= set(part) - set(map(ord, normalizers.StripAccents().normalize_str("".join(map(chr, part)))))
    return marks


def find_numeric():
    numeric = set()
    for i in range(0, len(ALL), CHUNK):
        part = ALL[i : i + CHUNK]
        pieces = pre_tokenizers.Digits(False).pre_tokenize_str("".join(chr(c) + "a" for c in part))
        numeric |= {part[b // 2] for _, (b, e) in pieces if e == b + 1 and b % 2 == 0}
    return numeric


def find_case_groups(category, lower):
    """Code points that (?i) takes for each other."""
    names = {"Lu", "Ll", "Lt", "Lm", "Mn", "Nl", "So"}
    candidates = [c for c, i in category.items() if CATEGORIES[i] in names]
    cased = {c for c in candidates if chr(c).lower() != chr(c) or chr(c).upper() != chr(c)}
    cased = sorted(cased | set(lower) | {ord(x) for s in lower.values() for x in s} | {0x345, 0x3B9, 0x1FBE})
    groups, seen = [], set()
    for c in cased:
        if c in seen:
            continue
        pre = pre_tokenizers.Split(Regex(f"(?i:\\x{{{c:x}}})"), "removed", invert=True)
        text = "\n".join(map(chr, cased))
        group = sorted({ord(p) for p, _ in pre.pre_tokenize_str(text) if len(p) == 1} | {c})
        if len(group) > 1:
            seen.update(group)
            groups.append(group)
    return groups


def ranges(code_points):
    out = []
    for c in sorted(code_points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def lines(items, width=98):
    out, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > width:
            out.append("  " + line)
            line = ""
        line += (" " if line else "") + item + ","
    return "\n".join(out + (["  " + line] if line else []))


def array(name, kind, items, comment):
    return f"// {comment}\nconstexpr {kind} {name}[] = {{\n{lines(items)}\n}};\n"


def range_array(name, code_points, comment):
    return array(name, "Range", [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(code_points)], comment)


def render():
    category = find_categories()
    in_categories = lambda names: {c for c, i in category.items() if CATEGORIES[i] in names}
    assigned = [c for c in ALL if CATEGORIES[category[c]] not in ("Cn", "Co")]
    runs = [c for c in range(0x110000) if c == 0 or category[c] != category[c - 1]]
    spaces = regex_class(r"\s", assigned)
    not_rust_space = matches(pre_tokenizers.WhitespaceSplit(), ALL)
    assert spaces == set(ALL) - not_rust_space, "Oniguruma and Rust differ in white space"
    assert regex_class(r"\d", assigned) == in_categories({"Nd"})
    words = regex_class(r"\w", assigned)
    word_categories = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Pc"}
    assert in_categories(word_categories) <= words
    lower = find_lower()
    single = [(c, ord(s)) for c, s in sorted(lower.items()) if len(s) == 1]
    long = {c: s for c, s in lower.items() if len(s) > 1}
    assert long == {0x130: "i\u0307"}, long
    marks = find_marks()
    marks_by_category = in_categories({"Mn", "Mc", "Me"})
    punctuation = set(ALL) - matches(pre_tokenizers.Punctuation("removed"), ALL)
    by_category = in_categories({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"})
    numeric = find_numeric()
    numeric_by_category = in_categories({"Nd", "Nl", "No"})
    groups = find_case_groups(category, lower)
    parts = [
        f"// Made by tests/goldens/make_unicode.py from tokenizers {tokenizers.__version__}; not to be edited.\n",
        array("kCategoryRuns", "uint32_t", [f"0x{c << 5 | category[c]:X}" for c in runs],
              "Where the general category changes: code point << 5 | Category."),
        range_array("kSpaceRanges", spaces, "White space: \\s, and Rust's."),
        range_array("kWordExtras", words - in_categories(word_categories), "\\w beyond its categories."),
        array("kLower", "Mapping", [f"{{0x{a:X}, 0x{b:X}}}" for a, b in single],
              "Lower case where it is one other code point."),
        range_array("kMarkDifferences", marks ^ marks_by_category, "Where a mark of StripAccents is not in M."),
        range_array("kPunctuationDifferences", punctuation ^ by_category, "Where Punctuation is not P."),
        range_array("kNumericDifferences", numeric ^ numeric_by_category, "Where Digits is not N."),
        array("kCaseGroups", "char32_t", [f"0x{c:X}" for g in groups for c in g + [0]],
              "Code points that (?i) takes for each other; each group ends with a 0."),
    ]
    for script in SCRIPTS:
        found = regex_class(rf"\p{{{script}}}", assigned)
        parts.append(range_array(f"k{script}", found, f"\\p{{{script}}}."))
    return "\n".join(parts)


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    text = render()
    if "--check" in sys.argv[1:]:
        if OUT.read_text() != text:
            sys.exit(f"{OUT} is not what tokenizers {tokenizers.__version__} says")
    else:
        OUT.write_text(text)


if __name__ == "__main__":
    main()

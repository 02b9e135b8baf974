"""make_python_unicode.py: writes src/text/python_unicode.inc, the case mappings and classes of Python's str over all code
points, as ranges. Python 3.12 (Unicode 15.0)."""
import pathlib
import sys

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def mapping_ranges(convert):
    """Ranges (first, last, step, delta) of one-to-one mappings and the others as (code point, text)."""
    ranges, special = [], []
    for c in POINTS:
        to = convert(chr(c))
        if to == chr(c):
            continue
        if len(to) != 1:
            special.append((c, to))
            continue
        delta = ord(to) - c
        if ranges and ranges[-1][3] == delta and c - ranges[-1][1] in (1, 2):
            last, step = ranges[-1][1], ranges[-1][2]
            if step == 0 or step == c - last:
                ranges[-1][1:3] = [c, c - last]
                continue
        ranges.append([c, c, 0, delta])
    return [(a, b, step or 1, delta) for a, b, step, delta in ranges], special


def class_ranges(test):
    ranges = []
    for c in POINTS:
        if test(chr(c)):
            if ranges and (ranges[-1][1] == c - 1):
                ranges[-1][1] = c
            else:
                ranges.append([c, c])
    return ranges


def rows(items):
    out, line = [], " "
    for item in items:
        if len(line) + len(item) + 2 > 100:
            out.append(line)
            line = " "
        line += " " + item + ","
    return "\n".join(out + [line])


def utf8(text):
    return '"' + "".join(f"\\x{b:02X}" for b in text.encode()) + '"'


out = [f"// Made by tests/goldens/make_python_unicode.py with Python {sys.version_info[0]}.{sys.version_info[1]}.",
       "// clang-format off"]
upper, upper_special = mapping_ranges(str.upper)
lower, lower_special = mapping_ranges(str.lower)
# title case where it is not the upper case
title = [(c, chr(c).title()) for c in POINTS if chr(c).title() != chr(c).upper()]
for name, table in (("kUpper", upper), ("kLower", lower)):
    out.append(f"constexpr CaseRange {name}[] = {{\n" + rows("{0x%X, 0x%X, %d, %d}" % row for row in table) + "\n};")
for name, table in (("kUpperSpecial", upper_special), ("kLowerSpecial", lower_special), ("kTitleSpecial", title)):
    out.append(f"constexpr CaseText {name}[] = {{\n" + rows("{0x%X, %s}" % (c, utf8(t)) for c, t in table) + "\n};")
classes = {"kSpace": str.isspace, "kDigit": str.isdigit, "kAlpha": str.isalpha, "kNumeric": str.isnumeric,
           "kPrintable": str.isprintable}
# cased letters: what istitle, isupper and islower look at
classes["kUppercase"] = lambda c: c.isupper()
classes["kLowercase"] = lambda c: c.islower()
for name, test in classes.items():
    out.append(f"constexpr ClassRange {name}[] = {{\n" + rows("{0x%X, 0x%X}" % tuple(r) for r in class_ranges(test)) + "\n};")
# what the final sigma rule skips: a small sigma after (a letter and) this character is not the last of a word
ignorable = class_ranges(lambda c: not c.isupper() and ("A" + c + "\u03a3").lower()[-1] == "\u03c2" and
                         ("1" + c + "\u03a3").lower()[-1] != "\u03c2")
out.append("constexpr ClassRange kCaseIgnorable[] = {\n" + rows("{0x%X, 0x%X}" % tuple(r) for r in ignorable) + "\n};")
out.append("constexpr ClassRange kTitleLetter[] = {\n" + rows("{0x%X, 0x%X}" % tuple(r) for r in class_ranges(
    lambda c: c.istitle() and not c.isupper())) + "\n};")
path = pathlib.Path(__file__).parents[2] / "src/text/python_unicode.inc"
path.write_text("\n".join(out) + "\n")
print(path, path.stat().st_size, "bytes")

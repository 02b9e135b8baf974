"""Makes tests/goldens/text/regex.json: where the `tokenizers` package's regular expressions match.

    python tests/goldens/make_regex.py [--out FOLDER] [--seed N]

"matches": for each text in which the pattern matches, its index and the byte ranges of all matches, one after the other;
the known patterns are asked about all texts, the others about the short ones. Needs tokenizers 0.23.3.
"""

import argparse
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

# the splitting patterns of public tokenizers
KNOWN = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|"
    r"\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek_cjk": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "kimi": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
# one for each piece of the syntax
SYNTAX = [
    "a", "a*", "a+?", "a??b", "(a|ab)(c|bcd)", "(?:a|ab)(?:c|bcd)d*", "a{2}", "a{2}?", "a{1,2}+", "a{,2}", "a{2,}",
    "a{1,3}?b",
    "a{2", "a{,}", "a{ 2}", "a++a", "a*+", "a?+a", "(?>a+)a", "(?>a|ab)c", "[ab]+c|[ab]+", "x*", "(?:x?)*y",
    "(?:a?){3}", "(?:a*)*",
    "(?:a*)+b", "(?:a|b)*?c", "(?:ab|a)*b", "^", "$", "^a", "a$", r"\Aa", r"a\z", r"a\Z", r"\b", r"\B", r"\b\w+\b",
    "(?=b)|c", "a(?=b)", "a(?!b)",
    "a(?=b|c)", "(?!ab)a.", "(?<=a)b", "(?<!a)b", "(?<=ab|c)d", "(?<=é)b", "(?<!ab|é)b", "(?<=^|a)b", ".", "(?m:.)",
    "(?m).+", ".+", "(?i)AB", "(?i:ab)c",
    "a(?i)b|c", "(?i:k)", "(?i:[a-z]+)", "(?i:[^a])+", r"(?i:\p{Lu})", r"(?i:[\p{Ll}])", "(?i:é)", "(?x: a b # c\n )d",
    "(?-i:A)", "(?#no)a",
    r"\p{^Lu}+", r"\P{^Lu}+", r"\p{ lu }+", r"[\p{L}\d]+", r"[^\p{L}\d]+", r"[\P{L}]+", r"[\S]+", r"[^\S\n]+", r"\D+",
    r"\W+", r"\h+", r"\H+",
    "[]a]+", "[^]a]+", "[a-]+", "[-a]+", "[a-c&&b-d]+", "[a-c&&[^b]]+", "[^a-c&&b-d]+", "[[a-c][x-z]]+",
    "[^[a-c][x-z]]+", "[[:digit:]]+", "[[:^space:]]+",
    r"[\b]", r"[\[\]]+", r"[\x41-\x43\u00e9\x{1F600}]+", r"\x41", r"\u00e9", r"\x{1F600}", r"\t|\n|\r|\f|\v|\a|\e|\0",
    r"\.|\*|\-|\/|\ ", "]", "é+", "[é-ï]+",
    r"\s+$", r"\s+(?=a)", r"(?:\r\n|\n)+", r"\d{1,3}(?=(?:\d{3})*\b)", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
    "(?:a|b|(?:c|d)+)+", "(?:(?=a)a|b)+", "(?:(?!b).)+",
    "(?:a+b?)+c|a", "(?:ab?){2,3}", "(?:a|b){2,}?c", "(?:|a)+", "(?:|a)+b", "(?:a|)+", "a||b", "(?:)", "()a",
    "(?:a(?:b(?:c)?)?)", "a.c", r"'(?=\w)", r"(?<=\s)\w", r"(?<!\w)\w+",
]
TEXTS = [
    "", "a", "aa", "aaa", "aaaa", "aaab", "abc", "abcd", "abcbcd", "ab", "ac", "abd cd", "b", "ba", "bb", "c", "cb",
    "xy", "xxyx", "aab aab", "a\n", "a\nb\n", "\n",
    "\n\n", "AB ab Ab", "abC aBc", "kK\u212a sS\u017f", "aÉéb éb ab xb", "a b #c", "]a[-", "x-a]b", "09 afAF g",
    "Hello, World! 12345 it's IT'S I\u2019m we'll WE'LL",
    "  two  spaces   three\t\ttabs \r\n\r\n line\n\n  x \n", "don't 'sa 's '\u017f 'S'T'RE foo'sbar FOO'LLx",
    "a1b22c333d4444 5,000.75 \u0661\u0662\u0663 \u00bd \u2167 \u3007", "camelCaseXMLHttp ABCdef ABC",
    "naïve café e\u0301 \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \ud55c\uad6d\uc5b4",
    "日本語のテキスト。中文，標點！カタカナ", "😀👍🏽 👨\u200d👩\u200d👧 🇩🇪!?", "...!!!???\n\n///\r\n-- \t$%&",
    "\u00a0\u2003\u3000x\u0085y\u180e\u200b\ufeffz\u2028w\u2029", "Ǆǅǆ ʰˡ ª º \u0345 ß ẞ ŉ",
    "def f(x):\n    return x*2  # ok\n\n\n\nclass A:\r\n\tpass\n", "\x00\x01\x07\x08\x0b\x0c\x1b\x7f",
    "..., x\u200d\u200c_a-b_c", "1234567 12 123 1234",
    "   ", "      a", "a      ", "\t \n \t", "\U0001e900\U0001e922 \U00010d50\U0001f1e6\U000323af", "end\r", "\r\r\n x",
]


def random_texts(rng, count):
    pools = [
        "abcdeABCDE   \n\r\t'''s.t,1234567890",
        "aébßcɐЖжщΣσςあ漢字한٣ⅷ½'’ \u00a0\u3000\n",
        "".join(chr(rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x20000)])) for _ in range(4000)),
        "".join(map(chr, range(0x300, 0x370))) + "aeo é\n",
    ]
    pools = [[c for c in p if not 0xD800 <= ord(c) < 0xE000] for p in pools]
    return ["".join(rng.choices(pools[i % len(pools)], k=rng.randrange(1, 60))) for i in range(count)]


def find(pattern, text):
    """Byte ranges of the matches, empty ones too. The package asks no pattern about the empty text."""
    if not text:
        return []
    mark = "\U0010fffd"
    assert mark not in text
    # a text in which each match is the mark: what lies between the marks places them, and the pieces give their lengths
    replaced = normalizers.Replace(Regex(pattern), mark).normalize_str(text)
    pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
    ends = {begin: end for _, (begin, end) in pieces}
    at, out = 0, []
    for i, between in enumerate(replaced.split(mark)):
        if i:
            end = ends.get(at, at)  # a match that is no piece is empty
            out.append([at, end])
            at = end
        assert text.startswith(between, at), (pattern, text)
        at += len(between)
    assert at == len(text), (pattern, text, out)
    offset = [0]
    for c in text:
        offset.append(offset[-1] + len(c.encode()))
    return [[offset[b], offset[e]] for b, e in out]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    texts = TEXTS + random_texts(random.Random(args.seed), 60)
    short = [i for i, text in enumerate(texts) if len(text) < 30]
    cases = []
    for pattern in [*KNOWN.values(), *SYNTAX]:
        chosen = range(len(texts)) if pattern in KNOWN.values() else short
        found = [[i, *(x for match in find(pattern, texts[i]) for x in match)] for i in chosen]
        cases.append({"pattern": pattern, "matches": [row for row in found if len(row) > 1]})
    out = args.out / "text/regex.json"
    out.parent.mkdir(exist_ok=True)
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    head = json.dumps({"tokenizers": tokenizers.__version__, "texts": texts, "short": short})[1:-1]
    out.write_text(f'{{{head},\n"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()

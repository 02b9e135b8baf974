"""Makes tests/goldens/text/normalizers.json: texts and offsets of the `tokenizers` package's normalisers.

    python tests/goldens/make_normalizers.py [--out FOLDER] [--seed N]

"offsets": for each code point of the result, the bytes of the text it came from. "checksums": of the texts of every code
point with a mark behind it, chunk by chunk. Needs tokenizers 0.23.3.
"""

import argparse
import json
import random
import zlib
from pathlib import Path

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

N = normalizers
NORMALIZERS = {
    "nfc": N.NFC(),
    "nfd": N.NFD(),
    "nfkc": N.NFKC(),
    "nfkd": N.NFKD(),
    "lowercase": N.Lowercase(),
    "strip": N.Strip(),
    "strip left": N.Strip(left=True, right=False),
    "strip right": N.Strip(left=False, right=True),
    "strip accents": N.StripAccents(),
    "nmt": N.Nmt(),
    "prepend": N.Prepend("\u2581"),
    "prepend two": N.Prepend("é>"),
    "replace": N.Replace(" ", "\u2581"),
    "replace longer": N.Replace("a", "<é>"),
    "replace nothing": N.Replace("b", ""),
    "replace regex": N.Replace(Regex(r"\s+"), " "),
    "replace empty": N.Replace(Regex(r"(?=b)"), "|"),
    "llama": N.Sequence([N.Prepend("\u2581"), N.Replace(" ", "\u2581")]),
    "bert": N.Sequence([N.NFD(), N.Lowercase(), N.StripAccents()]),
    "t5": N.Sequence([N.Nmt(), N.NFKC(), N.Replace(Regex(r" {2,}"), " "), N.Strip()]),
    "albert": N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase()]),
}
TEXTS = [
    "", "a", " ", "Hello World", "  two  spaces  ", "\u00e9", "e\u0301",
    "\u00e9 e\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323", "\ufb01\ufb03 \u2126 \u212b \u00c5", "한국어 각",
    "\u0958 \u095c \u0344 \u0f73", "ÀÉÎÕÜ ǅ İ ẞ Σς", "``quote''  x", "\t\x01\x0b a\u200b\u2581b\ufeff\r\n",
    "\u00a0x\u3000", "ｆｕｌｌ ﷺ ㍍ ⅷ ½", "日本 ガ か\u3099", "q\u0307\u0323\u0323\u0307 \u0323a",
    "a\u0315\u0300\u05ae\u0300\u0062", "\u0cd5\u0cc6\u0cc2 \u09c7\u09be", "\u1100\u1161\u11a8\u11a8 \u1100\u11a8",
    "\u0301abc", "é\u0301\u0301 b", "\U0001d15e \U0001f1e6 \U00011099\U000110ba", "bab b",
]


def random_texts(rng, count):
    marks = [0x300, 0x301, 0x323, 0x327, 0x345, 0x338, 0x3099, 0x5B0, 0x94D, 0x1AB0, 0x1DC0]
    texts = []
    for _ in range(count):
        points = []
        for _ in range(rng.randrange(1, 16)):
            kind = rng.randrange(6)
            points.append(
                [
                    rng.randrange(0x20, 0x7F), rng.randrange(0xA0, 0x250), rng.choice(marks), rng.randrange(0x300, 0x370),
                    rng.choice([0xAC00 + rng.randrange(11172), 0x1100 + rng.randrange(0x100)]),
                    rng.choice([rng.randrange(0x900, 0x3400), rng.randrange(0xF900, 0xFFF0), rng.randrange(0x10000, 0x20000)]),
                ][kind]
            )
        texts.append("".join(map(chr, points)))
    return texts


def find_offsets(normalizer, text):
    """Of each code point of the result, in bytes."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?m:.)"), "isolated")
    offset = [0]
    for c in text:
        offset.append(offset[-1] + len(c.encode()))
    return [x for b, e in tokenizer.encode(text).offsets for x in (offset[b], offset[e])]


def checksums(normalizer):
    sums = []
    for begin in range(0, 0x30000, 0x1000):
        points = [c for c in range(begin, begin + 0x1000) if not 0xD800 <= c < 0xE000]
        text = "".join(f"a{chr(c)}\u0323{chr(c)}\u0301\n" for c in points)
        sums.append(zlib.crc32(normalizer.normalize_str(text).encode()))
    return sums


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    texts = TEXTS + random_texts(random.Random(args.seed), 60)
    cases = []
    for name, normalizer in NORMALIZERS.items():
        case = {"name": name, "json": json.loads(normalizer.__getstate__()), "results": []}
        for text in texts:
            case["results"].append([normalizer.normalize_str(text), find_offsets(normalizer, text)])
        if name in ("nfc", "nfd", "nfkc", "nfkd", "lowercase", "strip accents", "nmt"):
            case["checksums"] = checksums(normalizer)
        cases.append(case)
    out = args.out / "text/normalizers.json"
    out.parent.mkdir(exist_ok=True)
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    out.write_text(f'{{"tokenizers":"{tokenizers.__version__}","texts":{json.dumps(texts)},\n"cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()

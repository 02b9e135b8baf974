"""Makes tests/goldens/text/bleu.json: corpus BLEU of sacrebleu's default settings, with the words it cuts.

    python tests/goldens/make_bleu.py [--out FOLDER] [--seed N]

Each case is a corpus of random sentences over words, numbers, punctuation and Unicode, with one or more references. Needs
sacrebleu 2.6.0.
"""

import argparse
import json
import random
from pathlib import Path

import sacrebleu
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

WORDS = "the cat sat on a mat while two dogs ran over 3.14 1,000 U.S. e.g. it's half-baked 9-to-5 &amp; &quot;so&quot; (yes) [no] " \
    "don't stop... well, ok! really? a/b x_y 50% $5 ünï çödé 東京 😀 -- - 1- 2-3 <skipped> end. 3. ,x 4,y .5 \u00a0 \u2028 {z}".split(" ")


def sentence(rng, words):
    separators = [" "] * 12 + ["  ", "\n", "-\n", ".", ","]
    return "".join(rng.choice(WORDS) + rng.choice(separators) for _ in range(words))


def corrupted(rng, text):
    words = text.split(" ")
    return " ".join(rng.choice(WORDS) if rng.random() < 0.3 else w for w in words if rng.random() > 0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert sacrebleu.__version__ == "2.6.0", sacrebleu.__version__
    rng = random.Random(args.seed)
    cases = []
    for number in range(60):
        count, references = rng.choice([1, 1, 3, 20]), rng.choice([1, 1, 1, 3])
        most = rng.choice([3, 8, 25])
        first = [sentence(rng, rng.randint(0, most)) for _ in range(count)]
        outputs = [corrupted(rng, text) if number % 4 else sentence(rng, rng.randint(0, most)) for text in first]
        others = [[corrupted(rng, text) for text in first] for _ in range(references - 1)]
        score = sacrebleu.corpus_bleu(outputs, [first, *others])
        cases.append({"outputs": outputs, "references": [list(row) for row in zip(first, *others)], "bleu": score.score})
    tokenizer = Tokenizer13a()
    lines = [sentence(rng, rng.randint(0, 12)) for _ in range(200)]
    words = [{"line": line, "words": tokenizer(line.rstrip()).split()} for line in lines]
    path = args.out / "text/bleu.json"
    path.write_text(json.dumps({"sacrebleu": sacrebleu.__version__, "cases": cases, "words": words}) + "\n")


main()

"""Makes tests/goldens/text/train_bpe.json: byte-level vocabularies that the `tokenizers` package learns from small texts.

    python tests/goldens/make_train_bpe.py [--out FOLDER] [--seed N]

The texts are random words over few letters, so that many pairs are equally frequent. Needs tokenizers 0.23.3.
"""

import argparse
import json
import random
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers


def learn(texts, vocab_size, min_frequency, special_tokens, all_bytes):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=special_tokens,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if all_bytes else [],
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = sorted(model["vocab"], key=model["vocab"].get)
    return {"vocab": vocab[-600:], "size": len(vocab), "merges": model["merges"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    rng = random.Random(args.seed)
    cases = []
    for i in range(24):
        letters = ["ab", "abc", "abcdefgh", "aéß日x1 ."][i % 4]
        texts = []
        for _ in range(rng.randrange(1, 8)):
            words = ["".join(rng.choices(letters, k=rng.randrange(1, 12))) for _ in range(rng.randrange(1, 60))]
            texts.append(" ".join(words))
        config = {
            "vocab_size": rng.choice([60, 100, 280, 320, 500]),
            "min_frequency": rng.choice([0, 0, 2, 3]),
            "special_tokens": rng.choice([[], ["<|endoftext|>"], ["<pad>", "a", "ab"]]),
            "all_bytes": rng.random() < 0.5,
        }
        if config["all_bytes"]:
            config["vocab_size"] += 256
        cases.append({"texts": texts, **config, **learn(texts, **config)})
    out = args.out / "text/train_bpe.json"
    out.parent.mkdir(exist_ok=True)
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    out.write_text(f'{{"tokenizers":"{tokenizers.__version__}","cases":[\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()

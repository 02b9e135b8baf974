#!/usr/bin/env python3
"""Training of a byte-level BPE beside the tokenizers package, on the same text (the files one after another), vocabulary and
threads, in turns.

    bench/train_bpe.py TEXT... [--vocab 8000] [--turns 3]

Prints a JSON object a line and fails where the two vocabularies or merges differ, or where the package does not load what
Pawl wrote. Run with the peers' Python (.venv-peers/bin/python); needs build/release/bench/text_split_bench.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = Path(__file__).parents[1]


def train_peer(text, vocab):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=["<|endoftext|>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    begin = time.perf_counter()
    tokenizer.train([text], trainer)
    return tokenizer, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--vocab", type=int, default=8000)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out, text = f"{folder}/tokenizer.json", f"{folder}/text"
        Path(text).write_bytes(b"\n".join(file.read_bytes() for file in args.texts))
        seconds, ours = {"pawl": [], "tokenizers": []}, {}
        for _ in range(args.turns):
            bench = [ROOT / "build/release/bench/text_split_bench", "train", text, str(args.vocab), out]
            ours = json.loads(subprocess.run(bench, check=True, capture_output=True, text=True).stdout)
            seconds["pawl"].append(ours.pop("seconds"))
            peer, time_of_peer = train_peer(text, args.vocab)
            seconds["tokenizers"].append(time_of_peer)
        loaded, mine = Tokenizer.from_file(out), json.loads(Path(out).read_text())
        sample = Path(text).read_text()[:100_000]
    theirs = json.loads(peer.to_str())
    ratio = round(min(seconds["tokenizers"]) / min(seconds["pawl"]), 2)
    print(json.dumps(ours | {"seconds": {who: [round(s, 3) for s in all] for who, all in seconds.items()}, "ratio": ratio}))
    equal = all(mine["model"][key] == theirs["model"][key] for key in ("vocab", "merges"))
    if not equal or loaded.encode(sample).ids != peer.encode(sample).ids:
        sys.exit("the two trainings differ")


if __name__ == "__main__":
    main()

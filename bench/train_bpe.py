#!/usr/bin/env python3
"""Training of a byte-level BPE beside the tokenizers package, on the same text, vocabulary and threads.

    bench/train_bpe.py TEXT [--vocab 8000]

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
    parser.add_argument("text")
    parser.add_argument("--vocab", type=int, default=8000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/tokenizer.json"
        bench = [ROOT / "build/release/bench/text_split_bench", "train", args.text, str(args.vocab), out]
        ours = json.loads(subprocess.run(bench, check=True, capture_output=True, text=True).stdout)
        peer, seconds = train_peer(args.text, args.vocab)
        loaded, mine = Tokenizer.from_file(out), json.loads(Path(out).read_text())
    theirs = json.loads(peer.to_str())
    ratio = round(seconds / ours["seconds"], 2)
    print(json.dumps(ours | {"peer": "tokenizers", "peer_seconds": round(seconds, 3), "ratio": ratio}))
    sample = Path(args.text).read_text()[:100_000]
    equal = all(mine["model"][key] == theirs["model"][key] for key in ("vocab", "merges"))
    if not equal or loaded.encode(sample).ids != peer.encode(sample).ids:
        sys.exit("the two trainings differ")


if __name__ == "__main__":
    main()

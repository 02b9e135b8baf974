#!/usr/bin/env python3
"""A character model of a text in 15 minutes on this machine's cores, beside nanoGPT's CPU recipe for the same time.

  bench/record shakespeare bench/shakespeare.py TEXT_FILE [--nanogpt CHECKOUT] [--only pawl|nanogpt] [--minutes 15]

TEXT_FILE: tinyshakespeare (1.1 MB). Both learn the first 90 % and are judged on the last 10 %. Pawl: `pawl train
configs/language/shakespeare_char.toml`, its validation loss over the whole hold-out. nanoGPT (a checkout of
karpathy/nanoGPT): the README's recipe for a CPU (block 64, batch 12, 4 layers of 128, no dropout, no compile); its
validation loss over 20 random batches, the best one it reports. The updates of both, and so the decay of their learning
rates, are what fits into the time: each is timed in a short run first.
"""
import argparse
import json
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAWL = ROOT / "build/release/pawl"
PYTHON = ROOT / ".venv-peers/bin/python"


def pawl(text, minutes, folder):
    def train(updates, run):
        begin = time.perf_counter()
        subprocess.run([PAWL, "train", ROOT / "configs/language/shakespeare_char.toml", "--run", run, "--set",
                        f'data.files=["{text}"]', "--set", f"total_updates={updates}"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    short = 250  # with an evaluation, as often as the whole run has them
    updates = int(minutes * 60 * short / train(short, pathlib.Path(folder) / "short"))
    run = pathlib.Path(folder) / "run"
    wall = train(updates, run)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluations = [row["eval_loss"] for row in rows if row["eval_loss"] is not None]
    summary = json.loads((run / "summary.json").read_text())
    print(json.dumps({"what": "Pawl, configs/language/shakespeare_char.toml", "wall_s": round(wall, 1),
                      "training_s": round(rows[-1]["time_s"], 1), "updates": rows[-1]["updates"], "tokens": rows[-1]["tokens"],
                      "best_validation_loss": min(evaluations), "last_validation_loss": evaluations[-1],
                      "summary": {k: v for k, v in summary.items() if isinstance(v, (int, float))}}), flush=True)


def prepare(text, data):
    """The files of nanoGPT's data/shakespeare_char/prepare.py, from a file that is here already."""
    import array
    content = text.read_text()
    characters = sorted(set(content))
    ids = {c: i for i, c in enumerate(characters)}
    split = int(len(content) * 0.9)
    for name, part in (("train", content[:split]), ("val", content[split:])):
        (data / f"{name}.bin").write_bytes(array.array("H", (ids[c] for c in part)).tobytes())
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(characters), "stoi": ids,
                                                  "itos": dict(enumerate(characters))}))


def nanogpt(text, minutes, checkout, folder):
    data = checkout / "data/shakespeare_char"
    prepare(text, data)

    def train(iterations, interval):
        command = [PYTHON, "train.py", "config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20",
                   f"--eval_interval={interval}", "--log_interval=100", "--block_size=64", "--batch_size=12", "--n_layer=4",
                   "--n_head=4", "--n_embd=128", f"--max_iters={iterations}", f"--lr_decay_iters={iterations}",
                   "--dropout=0.0", f"--out_dir={folder}"]
        begin = time.perf_counter()
        output = subprocess.run([str(part) for part in command], cwd=checkout, check=True, stdout=subprocess.PIPE,
                                text=True).stdout
        return time.perf_counter() - begin, [float(x) for x in re.findall(r"val loss ([0-9.]+)", output)]

    short, _ = train(200, 1000)
    long, _ = train(600, 1000)
    per_iteration = (long - short) / 400
    iterations = int(minutes * 60 / per_iteration)
    wall, losses = train(iterations, max(1, iterations // 20))
    print(json.dumps({"what": "nanoGPT, CPU recipe", "wall_s": round(wall, 1), "iterations": iterations,
                      "best_validation_loss": min(losses), "last_validation_loss": losses[-1]}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--nanogpt", type=pathlib.Path, default=ROOT / ".cache/nanogpt")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--only", choices=["pawl", "nanogpt"])
    options = parser.parse_args()
    if options.only != "pawl" and not (options.nanogpt / "train.py").exists():
        sys.exit(f"error: {options.nanogpt} is no checkout of nanoGPT (--nanogpt, or --only pawl)")
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "nanogpt":
            pawl(options.text, options.minutes, folder)
        if options.only != "pawl":
            nanogpt(options.text, options.minutes, options.nanogpt.resolve(), folder)


main()

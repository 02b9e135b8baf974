#!/usr/bin/env python3
"""Language training beside its peers, in one run: bench/record language_NAME bench/language.py NAME

  sft_15m    a Llama shape of 15M parameters, 16 x 256 tokens, float32: `pawl train configs/bench/sft_15m.toml` beside
             TRL's SFTTrainer as installed and with the allocator setting that suits it best, and beside the bare step of
             transformers with that setting (TRL also computes entropy and accuracy)
  step_05b   a Qwen2.5-0.5B shape, one step of 2 x 512 tokens, float32: seconds and peak memory beside transformers, as
             installed and with the same setting
  head       the head's loss and its gradient, 4,096 x 151,936 x 896, float32: seconds and memory beside TRL's fused one, as
             installed and with the same setting, and beside the eager composition
  load_15m   from the process's start to the loss of the first evaluation batch of a 15M model

Each prints JSON lines: every run, then the ratios. Runs alternate where they repeat. The peers need bench/peers/setup.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAWL = ROOT / "build/release/pawl"
PYTHON = ROOT / ".venv-peers/bin/python"
ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184"


def say(line):
    print(json.dumps(line), flush=True)
    return line


def run_json(command, **environment):
    """The last JSON line that a command prints."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))


def random_text(folder, size):
    random.seed(0)
    path = pathlib.Path(folder) / "letters.txt"
    path.write_text("".join(random.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(size)))
    return path


def train(config, folder, updates, *settings):
    """Rows of metrics.jsonl and the peak memory of a run of `updates` updates."""
    run = pathlib.Path(folder) / "run"
    shutil.rmtree(run, ignore_errors=True)
    data = random_text(folder, 400_000)
    command = [PAWL, "train", ROOT / "configs/bench" / config, "--run", run, "--set", f'data.files=["{data}"]',
               "--set", f"total_updates={updates}"]
    for setting in settings:
        command += ["--set", setting]
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"pawl train ended with {process.returncode}")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return rows, usage.ru_maxrss * 1024


def pawl_speed(config, folder, updates):
    rows, peak = train(config, folder, updates)
    rows = rows[1:]  # the first touches its memory
    # from the end of an update to the end of the next: metrics and all
    speeds = [(b["tokens"] - a["tokens"]) / (b["time_s"] - a["time_s"]) for a, b in zip(rows, rows[1:])]
    return {"what": f"Pawl {config}", "updates": len(speeds), "tokens_per_s": round(statistics.median(speeds), 1),
            "tokens_per_s_range": [round(min(speeds), 1), round(max(speeds), 1)],
            "mfu": round(statistics.median(row["mfu"] for row in rows), 3), "peak_bytes": peak}


def beside(config, updates, peer, folder, rounds):
    """Our runs, the peer's as installed and at its best, in turn; and the median speed of each."""
    ours, installed, best = [], [], []
    for _ in range(rounds):
        ours.append(say(pawl_speed(config, folder, updates)))
        best.append(say(run_json([PYTHON, peer], GLIBC_TUNABLES=ALLOCATOR)))
        ours.append(say(pawl_speed(config, folder, updates)))
        installed.append(say(run_json([PYTHON, peer])))
    return ours, installed, best, [statistics.median(run["tokens_per_s"] for run in runs)
                                   for runs in (ours, installed, best)]


def sft_15m(folder, rounds):
    ours, _, _, speed = beside("sft_15m.toml", 9, "bench/peers/trl_sft.py", folder, rounds)
    bare = statistics.median(
        say(run_json([PYTHON, "bench/peers/transformers_step.py", "--model", "15m", "--sequences", 16, "--length", 256,
                      "--steps", 4], GLIBC_TUNABLES=ALLOCATOR))["tokens_per_s"] for _ in range(rounds))
    say({"what": "ratios", "over_trl_installed": round(speed[0] / speed[1], 2),
         "over_trl_best": round(speed[0] / speed[2], 2), "over_transformers_best": round(speed[0] / bare, 2),
         "share_of_fma": round(statistics.median(run["mfu"] for run in ours), 3)})


def step_05b(folder, rounds):
    ours, installed, best, speed = beside("train_05b.toml", 5, "bench/peers/transformers_step.py", folder, rounds)
    memory = lambda runs: min(run["peak_bytes"] for run in runs)
    say({"what": "ratios", "over_transformers_installed": round(speed[0] / speed[1], 2),
         "over_transformers_best": round(speed[0] / speed[2], 2),
         "memory_of_installed": round(memory(ours) / memory(installed), 2),
         "memory_of_best": round(memory(ours) / memory(best), 2),
         "share_of_fma": round(statistics.median(run["mfu"] for run in ours), 3)})


def head(folder, rounds):
    del folder
    peer = [PYTHON, "bench/peers/trl_head_loss.py"]
    runs = {"ours": [], "installed": [], "best": []}
    for _ in range(rounds):
        # the eager one's memory (7 GB) is gone before the next begins
        runs["ours"].append(say(run_json([ROOT / "build/release/bench/lm_head_bench", "--rounds", 1, "--rows", 4096, "--vocab",
                                          151936, "--width", 896])))
        runs["best"].append(say(run_json(peer, GLIBC_TUNABLES=ALLOCATOR)))
        runs["installed"].append(say(run_json(peer)))
    seconds = {name: statistics.median(run["seconds"] for run in each) for name, each in runs.items()}
    say({"what": "ratios", "eager_over_ours": round(statistics.median(r["eager_over_ours"] for r in runs["ours"]), 2),
         "trl_installed_over_ours": round(seconds["installed"] / seconds["ours"], 2),
         "trl_best_over_ours": round(seconds["best"] / seconds["ours"], 2)})


def load_15m(folder, rounds):
    train("sft_15m.toml", folder, 1)
    text = random_text(folder, 257)  # one window
    command = [PAWL, "eval", pathlib.Path(folder) / "run/model", "--data", text, "--json"]
    seconds = []
    for _ in range(5 * rounds):
        begin = time.perf_counter()
        subprocess.run([str(part) for part in command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    say({"what": "load and first evaluation batch, 15M", "seconds": round(statistics.median(seconds), 3),
         "range": [round(min(seconds), 3), round(max(seconds), 3)]})


def main():
    parser = argparse.ArgumentParser()
    names = {"sft_15m": sft_15m, "step_05b": step_05b, "head": head, "load_15m": load_15m}
    parser.add_argument("name", choices=names)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names[options.name](folder, options.rounds)


if __name__ == "__main__":
    main()

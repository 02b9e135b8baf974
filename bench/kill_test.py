#!/usr/bin/env python3
"""Kill tests: SIGKILL actors, the learner, and the learner during a save; nothing may differ from an undisturbed run.

  bench/kill_test.py [--binary build/release/pawl] [--actors 50] [--learner 50] [--saves 100] [--config FILE]
  bench/kill_test.py --config tests/train/data/kill_language.toml

Compares every metric that is not a clock, the final weights and the final training state, byte for byte; of a language
model also samples.jsonl, model/ and best_model/; and each resume's checkpoint with the newest one that was committed when
the process before it died (lost_checkpoints counts those that were passed over). A language run has no actors: that part is
left out. Relative paths in a config are of the repository. Prints one JSON object per part; exits 1 at the first difference. Python standard library only.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

CLOCKS = ("_s", "_ms", "_bytes", "per_s", "mfu")  # ends of names
# what a language run leaves beside its checkpoints
OUTPUTS = ("samples.jsonl", "model", "best_model")
ROOT = Path(__file__).resolve().parent.parent


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.endswith(CLOCKS)} for row in rows]


def final_state(run):
    """Relative path -> bytes of everything that two equal runs must end with."""
    newest = sorted(p for p in (run / "checkpoints").iterdir() if p.suffix != ".tmp")[-1]
    state = {str(f.relative_to(newest)): f.read_bytes() for f in sorted(newest.rglob("*"))
             if f.is_file() and f.name not in ("clocks.safetensors", "index.json")}
    for output in (run / name for name in OUTPUTS):
        for file in [output] if output.is_file() else sorted(output.rglob("*")):
            if file.is_file():
                state[str(file.relative_to(run))] = file.read_bytes()
    return state


def is_language(config):
    with open(config, "rb") as file:
        return tomllib.load(file).get("stage", "ppo") != "ppo"


def newest_commit(run):
    """Step of the newest committed checkpoint, -1 for none."""
    steps = [int(p.parent.name[5:]) for p in run.glob("checkpoints/step_*/COMMIT") if p.parent.name[5:].isdigit()]
    return max(steps, default=-1)


def resumes(run):
    """Steps that the run was resumed from, in order."""
    log = run / "log.txt"
    return [int(s) for s in re.findall(r"resumed from .*step_(\d+) ", log.read_text())] if log.exists() else []


class Harness:
    def __init__(self, args):
        self.args = args
        self.language = is_language(args.config)
        self.folder = Path(tempfile.mkdtemp(prefix="pawl-kill-"))
        self.rng = random.Random(args.seed)

    def command(self, run, *more, resume=False):
        line = [self.args.binary, "train", self.args.config, "--run", str(run), *more]
        return line + (["--resume"] if resume else [])

    def start(self, *a, **k):
        return subprocess.Popen(self.command(*a, **k), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, process, what):
        err = process.communicate(timeout=300)[1].decode()
        if process.returncode != 0:
            sys.exit(f"{what}: exit code {process.returncode}: {err}")

    def compare(self, run, what):
        if metrics(run) != self.reference_metrics:
            sys.exit(f"{what}: metrics differ from the undisturbed run ({run} against {self.reference})")
        state = final_state(run)
        for name in sorted(self.reference_state.keys() | state.keys()):
            if state.get(name) != self.reference_state.get(name):
                sys.exit(f"{what}: {name} differs from the undisturbed run ({run} against {self.reference})")

    def make_reference(self):
        self.reference = self.folder / "reference"
        began = time.monotonic()
        self.finish(self.start(self.reference, *self.settings()), "reference")
        self.seconds = time.monotonic() - began
        self.reference_metrics = metrics(self.reference)
        self.reference_state = final_state(self.reference)
        if self.language and not any(name.startswith("model/") for name in self.reference_state):
            sys.exit("reference: no model/ to compare")

    def settings(self):
        every = ["--set", "checkpoint.every_updates=1"]
        return every if self.language else every + ["--set", "eval.video=false"]

    def kill_actors(self, wanted):
        killed, runs = 0, 0
        process_actors = ["--set", "actors.kind=process", "--set", "actors.count=2"]
        reference = self.folder / "reference-process"
        self.finish(self.start(reference, *self.settings(), *process_actors), "process actors")
        # the config differs (actors.kind), the numbers may not
        self.compare(reference, "threads against processes")
        while killed < wanted:
            run = self.folder / f"actors-{runs}"
            process = self.start(run, *self.settings(), *process_actors)
            while process.poll() is None:
                # on a slow machine more patiently: ten deaths of one actor before it ever ran end a run
                time.sleep(self.rng.uniform(0.1, 1.5) * max(1, self.seconds / 8))
                try:
                    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                except OSError:
                    break
                if children:
                    try:
                        os.kill(int(self.rng.choice(children)), signal.SIGKILL)
                        killed += 1
                    except ProcessLookupError:
                        pass
            self.finish(process, "run with killed actors")
            self.compare(run, "run with killed actors")
            shutil.rmtree(run)
            runs += 1
        print(json.dumps({"part": "actor SIGKILL", "kills": killed, "runs": runs, "differences": 0}), flush=True)

    def kill_learner(self, wanted, during_save):
        killed, runs = 0, 0
        steps = []  # of each resume: where it went on, and the newest commit before it
        while killed < wanted:
            run = self.folder / f"learner-{runs}"
            process = self.start(run, *self.settings())
            committed, seen = -1, 0  # at the last kill; resumes in the log until then
            while True:
                if during_save:
                    self.wait_for_save(run, process)
                else:
                    time.sleep(self.rng.uniform(0.1, max(0.3, 0.6 * self.seconds)))
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1
                steps += [(step, committed) for step in resumes(run)[seen:]]  # none where the kill came too early
                committed, seen = newest_commit(run), len(resumes(run))
                if not run.exists():  # killed before it made its folder
                    process = self.start(run, *self.settings())
                    continue
                process = self.start(run, *self.settings(), resume=(run / "config.toml").exists())
                if killed >= wanted:
                    break
            self.finish(process, "resumed run")
            steps += [(step, committed) for step in resumes(run)[seen:]]
            self.compare(run, "resumed run")
            shutil.rmtree(run)
            runs += 1
        lost = sum(resumed != newest for resumed, newest in steps)
        part = "learner SIGKILL during a save" if during_save else "learner SIGKILL + resume"
        print(json.dumps({"part": part, "kills": killed, "runs": runs, "differences": 0,
                          "resumes_checked": len(steps), "lost_checkpoints": lost}), flush=True)
        if lost:
            sys.exit(f"{part}: {lost} resumes passed over a committed checkpoint")

    def wait_for_save(self, run, process):
        """Returns when a checkpoint is being written, a random moment into it; or when the process has ended."""
        checkpoints = run / "checkpoints"
        skip = self.rng.randrange(1, 6)
        while process.poll() is None:
            try:
                writing = any(name.endswith(".tmp") for name in os.listdir(checkpoints))
            except OSError:
                writing = False
            if writing:
                skip -= 1
                if skip <= 0:
                    time.sleep(self.rng.uniform(0, 0.004))
                    return
                while process.poll() is None and any(n.endswith(".tmp") for n in os.listdir(checkpoints)):
                    time.sleep(0.0002)
            time.sleep(0.0002)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/pawl"))
    parser.add_argument("--config", default=str(ROOT / "tests/train/data/kill.toml"))
    parser.add_argument("--actors", type=int, default=50)
    parser.add_argument("--learner", type=int, default=50)
    parser.add_argument("--saves", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.binary, args.config = os.path.abspath(args.binary), os.path.abspath(args.config)
    harness = Harness(args)
    harness.make_reference()
    print(json.dumps({"part": "reference", "updates": len(harness.reference_metrics), "time_s": harness.seconds,
                      "files": len(harness.reference_state)}), flush=True)
    if args.actors and not harness.language:
        harness.kill_actors(args.actors)
    if args.learner:
        harness.kill_learner(args.learner, during_save=False)
    if args.saves:
        harness.kill_learner(args.saves, during_save=True)
    shutil.rmtree(harness.folder)


if __name__ == "__main__":
    main()

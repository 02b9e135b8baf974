#!/usr/bin/env python3
"""The environment pool beside a bare loop of mj_step, MuJoCo's batch API and EnvPool, in alternating runs on 2 threads.

  bench/env_pool.py [--build build/release] [--rounds 3] [--envs HalfCheetah Ant]

One JSON line an environment: medians in control steps/s, our shares of bare, and the ratio to EnvPool's asynchronous mode
(64 environments, batch 32), which steps an older MuJoCo of its own.
"""
import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def json_lines(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=str(ROOT / "build/release"))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--envs", nargs="+", default=["HalfCheetah", "Ant"])
    a = p.parse_args()
    for env in a.envs:
        ours, peers = [], {"sync": [], "async": []}
        for _ in range(a.rounds):
            ours += json_lines([f"{a.build}/bench/env_pool_bench", "--env", f"{env}-v5"])
            for row in json_lines([str(ROOT / ".venv-envpool/bin/python"), str(ROOT / "bench/peers/env_rates.py"), "--only",
                                   "envpool", "--envs", env, "--threads", "2", "--seconds", "2"]):
                peers[row["mode"]].append(row["steps_per_s"])
        row = {key: statistics.median(r[key] for r in ours) for key in ours[0] if key.endswith(("_per_s", "_of_bare"))}
        row["envpool_sync_steps_per_s"] = statistics.median(peers["sync"])
        row["envpool_async_steps_per_s"] = statistics.median(peers["async"])
        row["pool_async_over_envpool_async"] = statistics.median(
            r["pool_async_steps_per_s"] / theirs for r, theirs in zip(ours, peers["async"]))
        print(json.dumps({"env": f"{env}-v5", "envs": 64, "batch": 32, "threads": 2, "rounds": a.rounds, **row}), flush=True)


if __name__ == "__main__":
    main()

"""TRL's fused head and loss on the CPU, forward and backward: seconds and growth of peak memory. One JSON line.

  .venv-peers/bin/python bench/peers/trl_head_loss.py [--rows 4096] [--vocab 151936] [--width 896] [--chunk 8192]

The function behind TRL's chunked loss (trl.kernels.ChunkedLogProbFunction), without its optional outputs. --chunk is the
vocabulary's share of a tile; without it, TRL's own. GLIBC_TUNABLES as in trl_sft.py is its best setting.
"""
import argparse
import json
import os
import statistics
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--rows", type=int, default=4096)
arguments.add_argument("--vocab", type=int, default=151_936)
arguments.add_argument("--width", type=int, default=896)
arguments.add_argument("--chunk", type=int, default=0)
arguments.add_argument("--rounds", type=int, default=1)
arguments.add_argument("--threads", type=int, default=2)
options = arguments.parse_args()
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(options.threads))

import torch
import trl
from trl.kernels import ChunkedLogProbFunction
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

torch.set_num_threads(options.threads)
torch.manual_seed(0)


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main():
    chunk = options.chunk or _CHUNKED_LOGPROB_CHUNK_SIZE
    x = (torch.rand(options.rows, options.width) * 2 - 1).requires_grad_()
    weight = (torch.rand(options.vocab, options.width) * 0.2 - 0.1).requires_grad_()
    targets = torch.arange(options.rows) * 7919 % options.vocab
    before = peak_bytes()
    seconds = []
    for _ in range(options.rounds):
        x.grad = weight.grad = None
        begin = time.perf_counter()
        log_prob = ChunkedLogProbFunction.apply(x, weight, None, targets, 1.0, chunk, None, 1.0, ())[0]
        (-log_prob.sum() / options.rows).backward()
        seconds.append(time.perf_counter() - begin)
    gradients = 4 * (x.numel() + weight.numel())
    print(json.dumps({"what": "TRL's fused head", "trl": trl.__version__, "torch": torch.__version__, "rows": options.rows,
                      "vocab": options.vocab, "width": options.width, "chunk": chunk,
                      "allocator": "GLIBC_TUNABLES" in os.environ, "seconds": round(statistics.median(seconds), 2),
                      "workspace_mb": round((peak_bytes() - before - gradients) * 1e-6)}), flush=True)


main()

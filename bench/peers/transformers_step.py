"""One training step of a Qwen2.5-0.5B or a 15M Llama shape in transformers on the CPU: seconds, peak memory. One JSON line.

  .venv-peers/bin/python bench/peers/transformers_step.py [--steps 2] [--sequences 2] [--length 512] [--dtype float32] [--model 05b|15m]

Random weights, AdamW, gradient clipping at 1, no gradient checkpointing. GLIBC_TUNABLES as in trl_sft.py is its best setting.
"""
import argparse
import json
import os
import statistics
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--steps", type=int, default=2)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--sequences", type=int, default=2)
arguments.add_argument("--length", type=int, default=512)
arguments.add_argument("--dtype", default="float32")
arguments.add_argument("--model", choices=["05b", "15m"], default="05b")
options = arguments.parse_args()
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(options.threads))

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

torch.set_num_threads(options.threads)
torch.manual_seed(0)


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def make_model():
    if options.model == "15m":
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=32_000, hidden_size=288, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6,
            num_key_value_heads=6, max_position_embeddings=2048, tie_word_embeddings=True, use_cache=False))
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=151_936, hidden_size=896, intermediate_size=4_864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, max_position_embeddings=32_768, rope_theta=1e6, tie_word_embeddings=True, use_cache=False))


def main():
    model = make_model().to(getattr(torch, options.dtype)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    steps = []
    for _ in range(options.steps + 1):
        tokens = torch.randint(0, model.config.vocab_size, (options.sequences, options.length))
        begin = time.perf_counter()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        steps.append(time.perf_counter() - begin)
    steps = steps[1:]  # the first makes the optimizer's state
    print(json.dumps({"what": "transformers step", "model": options.model, "transformers": transformers.__version__,
                      "torch": torch.__version__,
                      "threads": options.threads, "dtype": options.dtype, "sequences": options.sequences,
                      "length": options.length, "allocator": "GLIBC_TUNABLES" in os.environ,
                      "step_s": round(statistics.median(steps), 2), "step_s_range": [round(min(steps), 2), round(max(steps), 2)],
                      "tokens_per_s": round(options.sequences * options.length / statistics.median(steps), 1),
                      "peak_bytes": peak_bytes()}), flush=True)


main()

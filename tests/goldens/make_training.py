#!/usr/bin/env python3
"""Goldens of ten training steps in PyTorch: tests/goldens/training, from the models of tests/goldens/language
(or --out's own).

  bench/peers/setup peers
  .venv-peers/bin/python tests/goldens/make_training.py

<family>.safetensors: tokens [steps, B, S] i32, learning_rate [steps] f64, loss [steps] f64 before each step, grad_norm
[steps] f64 before clipping, and every weight after the last step under its name in the model's folder. torch.optim.AdamW
(betas 0.9 and 0.95, epsilon 1e-8, weight decay 0.1 on matrices alone), gradients clipped to a norm of 1, no dropout.
"""
import argparse
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM

OUT = pathlib.Path(__file__).resolve().parent
SEED = 3
FAMILIES = ["llama3", "gpt2"]
STEPS, BATCH, LENGTH = 10, 3, 20
HIGH_RATE, LOW_RATE, WARMUP = 3e-3, 3e-4, 2


def rate_of(step):
    """A warm-up of two steps, then a straight line: what the learner's schedule "linear" does (tests/rlhf)."""
    if step < WARMUP:
        return HIGH_RATE * (step + 1) / (WARMUP + 1)
    return HIGH_RATE + (LOW_RATE - HIGH_RATE) * (step - WARMUP) / (STEPS - WARMUP)


def record(family, models, out, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(models / family, attn_implementation="eager",
                                                 dtype=torch.float32)
    model.eval()  # no dropout; gradients flow all the same
    if model.get_input_embeddings().padding_idx is not None:
        model.get_input_embeddings().padding_idx = None  # the padding id is a token here
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=0.0, betas=(0.9, 0.95), eps=1e-8)
    tokens = torch.randint(0, model.config.vocab_size, (STEPS, BATCH, LENGTH))
    rates, losses, norms = [], [], []
    for step in range(STEPS):
        rate = rate_of(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = model(input_ids=tokens[step], labels=tokens[step]).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        optimizer.zero_grad()
        rates.append(rate)
        losses.append(loss.item())
    result = {"tokens": tokens.numpy().astype(np.int32), "learning_rate": np.array(rates), "loss": np.array(losses),
              "grad_norm": np.array(norms)}
    for name, parameter in model.named_parameters():
        result["weight/" + name] = parameter.detach().numpy()
    save_file({key: np.ascontiguousarray(value) for key, value in result.items()}, out / f"{family}.safetensors")


def models_folder(out):
    """The models that were recorded into --out, where there are some, else the committed ones."""
    fresh = out / "language"
    return fresh if fresh.is_dir() else OUT / "language"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    folder = options.out / "training"
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        record(family, models_folder(options.out), folder, options.seed)


main()

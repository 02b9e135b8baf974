#!/usr/bin/env python3
"""The loss of a real model by transformers, for the test Gemma3Real (tests/nn): a folder with a Gemma 3 base model in,
<folder>/wikitext2.safetensors out (both ignored by git). Takes some minutes on two cores.

  .venv-peers/bin/python tests/goldens/make_gemma3.py MODEL_FOLDER TEXT_FILE      e.g. .cache/gemma3_270m .../wikitext2/valid.txt

tokens [40, 512] i32 (20k tokens: windows that begin with BOS), loss [] f64: mean over the 511 targets of each window, of
the model in float32.
"""
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

WINDOWS, LENGTH = 40, 512


def main():
    folder, text = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text[:200_000], add_special_tokens=False).input_ids
    windows = [[tokenizer.bos_token_id] + ids[i * (LENGTH - 1):(i + 1) * (LENGTH - 1)] for i in range(WINDOWS)]
    tokens = torch.tensor(windows)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    total = 0.0
    with torch.no_grad():
        for window in tokens:
            logits = model(window[None]).logits[0, :-1].double()
            total -= torch.log_softmax(logits, -1).gather(1, window[1:, None]).sum().item()
    loss = total / (WINDOWS * (LENGTH - 1))
    save_file({"tokens": tokens.numpy().astype(np.int32), "loss": np.array(loss)}, folder / "wikitext2.safetensors")
    print(f"loss {loss:.6f}, perplexity {np.exp(loss):.4f}")


main()

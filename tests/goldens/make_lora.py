#!/usr/bin/env python3
"""Goldens of PEFT's LoRA adapters: tests/goldens/lora, on the models of tests/goldens/language (or --out's own).

  bench/peers/setup peers
  .venv-peers/bin/python tests/goldens/make_lora.py

<case>/{adapter_config.json, adapter_model.safetensors} as save_pretrained writes them, all their weights random; beside
them golden.safetensors: tokens [B, S] i32, logits [B, S, V] f32 of the model with its adapter, loss [] f32, grad/<name>
f32 of every trained tensor under its name in the adapter's file, merged/<name> of one adapted matrix after merging.

  plain    llama: q, v and down, a rank and an alpha of their own for some
  rslora   gpt2 (Conv1D, fan_in_fan_out), scale alpha / sqrt(r), all linears
  saved    qwen3: a regular expression, the head trained whole beside it
"""
import argparse
import pathlib

import numpy as np
import peft
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

OUT = pathlib.Path(__file__).resolve().parent
SEED = 5
CASES = {
    "plain": ("llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"],
                            rank_pattern={"layers.0.self_attn.q_proj": 2, "down_proj": 3},
                            alpha_pattern={"model.layers.1.self_attn.v_proj": 5})),
    "rslora": ("gpt2", dict(r=3, lora_alpha=4, target_modules=["c_attn", "c_proj", "c_fc"], use_rslora=True,
                            fan_in_fan_out=True)),
    "saved": ("qwen3", dict(r=2, lora_alpha=6, target_modules=r".*layers\.[01]\.(self_attn\.k_proj|mlp\.up_proj)",
                            modules_to_save=["lm_head"])),
}


def record(name, family, settings, models, folder, seed):
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(models / family, attn_implementation="eager", dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    model.eval()  # no dropout; gradients flow all the same
    tokens = torch.from_numpy(load_file(models / family / "golden.safetensors")["tokens"]).long()
    result = model(input_ids=tokens, labels=tokens)
    result.loss.backward()
    out = {"tokens": tokens.numpy().astype(np.int32), "logits": result.logits.detach().numpy(),
           "loss": np.array(result.loss.item(), np.float32)}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            stored = key.replace(".default", "").replace(".modules_to_save", "")
            out["grad/" + stored] = parameter.grad.numpy()
    model.peft_config["default"].base_model_name_or_path = f"language/{family}"
    model.save_pretrained(folder / name)
    (folder / name / "README.md").unlink(missing_ok=True)
    adapted = next(key for key, module in model.named_modules() if hasattr(module, "lora_A"))
    merged = model.merge_and_unload()
    path = adapted.removeprefix("base_model.model.")
    out["merged/" + path + ".weight"] = merged.get_submodule(path).weight.detach().numpy()
    save_file({key: np.ascontiguousarray(value) for key, value in out.items()}, folder / name / "golden.safetensors")


def models_folder(out):
    """The models that were recorded into --out, where there are some, else the committed ones."""
    fresh = out / "language"
    return fresh if fresh.is_dir() else OUT / "language"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    for name, (family, settings) in CASES.items():
        record(name, family, settings, models_folder(options.out), options.out / "lora", options.seed)


main()

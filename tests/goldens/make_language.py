#!/usr/bin/env python3
"""Goldens of transformers' language models: tests/goldens/language.

  bench/peers/setup peers
  .venv-peers/bin/python tests/goldens/make_language.py

For every family a tiny model whose weights, norm factors and biases are all drawn at random, saved by save_pretrained
in float32: <family>/{config.json, generation_config.json, model.safetensors}. Beside it golden.safetensors, computed
with attn_implementation="eager". B = 2 sequences of S = 28 tokens (longer than every window), V vocabulary.

  tokens [B, S] i32
  logits [B, S, V] f32       of the float32 model
  logits_f64 [1, S, V] f64   the first sequence with every operation in float64, where transformers itself would round
                             norms, softmax and angles to float32; inverse frequencies stay rounded to float32
  logits_bf16 [B, S, V] f32  of model.bfloat16()
  loss [] f32                mean next-token cross entropy of the float32 model
  grad/<parameter>           f32, gradient of that loss, under the names and shapes of model.safetensors

  llama    every head its own keys, biases everywhere, untied       llama3   grouped heads, llama3 rope scaling, tied
  mistral  window 8, head width not D / H                           qwen2    window 8 in the second layer, tied
  qwen3    norms of queries and keys                                gpt2     Conv1D, learned positions
  gemma3   window 8 in some layers, two ropes (linear, default), soft cap of the logits

rope.safetensors: inverse frequencies [K / 2] f32 as transformers computes them, one array a case; the metadata `cases`
is a JSON list of {name, head_dim, rope: rope_parameters}.
"""
import argparse
import copy
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from torch.overrides import TorchFunctionMode
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
                          MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

OUT = pathlib.Path(__file__).resolve().parent  # parent of the folder language; --out
SEED = 11  # --seed
BATCH, LENGTH = 2, 28

SIZES = dict(hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig(
        **SIZES | dict(num_key_value_heads=4), vocab_size=67, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0})),
    "llama3": (LlamaForCausalLM, LlamaConfig(
        **SIZES | dict(eos_token_id=[2, 5]), vocab_size=61, head_dim=16, tie_word_embeddings=True,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 32})),
    "mistral": (MistralForCausalLM, MistralConfig(
        **SIZES, vocab_size=64, head_dim=12, sliding_window=8,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        **SIZES, vocab_size=70, use_sliding_window=True, sliding_window=8, max_window_layers=1,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(
        **SIZES, vocab_size=61, head_dim=16, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    "gpt2": (GPT2LMHeadModel, GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=40, vocab_size=73, bos_token_id=72, eos_token_id=72)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(
        **SIZES | dict(num_hidden_layers=4), vocab_size=96, head_dim=16, sliding_window=8, query_pre_attn_scalar=24,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"],
        final_logit_softcapping=12.0,
        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})),
}


class KeepDouble(TorchFunctionMode):
    """A float64 tensor stays one where a model asks for float32."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        subject = args[0] if args else None
        if isinstance(subject, torch.Tensor) and subject.dtype == torch.float64:
            if function is torch.Tensor.float:
                return subject
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
            if kwargs.get("dtype") is torch.float32:
                kwargs["dtype"] = torch.float64
        return function(*args, **kwargs)


def numbers(tensor, dtype=np.float32):
    return np.ascontiguousarray(tensor.detach().to(torch.float64).numpy().astype(dtype))


def draw_weights(model, generator):
    """Weights that tell every mistake: no factor is 1, no bias is 0, scores and logits are well spread."""
    draw = lambda p: torch.empty_like(p).normal_(generator=generator)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1 and name.endswith("weight"):  # of a norm; Gemma's stand for 1 + weight
                p.copy_(0.3 * draw(p) + (0.1 if isinstance(model, Gemma3ForCausalLM) else 1.1))
            elif p.ndim == 1:
                p.copy_(0.3 * draw(p))
            elif "embed_tokens" in name or "wte" in name or "wpe" in name or "lm_head" in name:
                p.copy_(0.5 * draw(p))
            else:
                fan_in = p.shape[0] if isinstance(model, GPT2LMHeadModel) else p.shape[1]
                p.copy_(1.3 / fan_in**0.5 * draw(p))


def record(family, seed):
    model_class, config = FAMILIES[family]
    generator = torch.Generator().manual_seed(seed)
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    draw_weights(model, generator)
    tokens = torch.randint(0, config.vocab_size, (BATCH, LENGTH), generator=generator)
    output = model(input_ids=tokens, labels=tokens)
    output.loss.backward()
    golden = {"tokens": tokens.numpy().astype(np.int32), "logits": numbers(output.logits),
              "loss": numbers(output.loss)}
    golden |= {f"grad/{name}": numbers(p.grad) for name, p in model.named_parameters()}
    with torch.no_grad():
        with KeepDouble():
            exact = copy.deepcopy(model).double()(input_ids=tokens[:1]).logits
        assert exact.dtype == torch.float64
        golden["logits_f64"] = numbers(exact, np.float64)
        golden["logits_bf16"] = numbers(copy.deepcopy(model).bfloat16()(input_ids=tokens).logits)
    logits = output.logits.detach()
    spread = logits.std().item()
    error = (logits[:1].double() - exact).abs().max().item()
    folder = OUT / "language" / family
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_file(golden, folder / "golden.safetensors", versions())
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{family}: loss {output.loss.item():.4f}, logits' deviation {spread:.2f}, float32 error {error:.1e}, "
          f"bfloat16 error {np.abs(golden['logits_bf16'] - golden['logits']).max():.2f}, {size / 1e3:.0f} kB")
    assert 0.5 < spread < 20 and error < 1e-4


def rope_cases():
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=8192)
    for theta in (10000.0, 500000.0, 1000000.0, 5000000.0, 123456.789):
        for head_dim in (8, 12, 64, 80, 96, 128, 256):
            yield head_dim, dict(rope_type="default", rope_theta=theta)
            yield head_dim, dict(rope_type="linear", rope_theta=theta, factor=8.0)
            yield head_dim, dict(rope_type="linear", rope_theta=theta, factor=3.0)
            yield head_dim, dict(rope_theta=theta, **llama3)
            yield head_dim, dict(rope_theta=theta, **llama3 | dict(factor=32.0, original_max_position_embeddings=100))


def record_rope():
    arrays, cases = {}, []
    for head_dim, rope in rope_cases():
        config = LlamaConfig(hidden_size=4 * head_dim, num_attention_heads=4, head_dim=head_dim, num_hidden_layers=1,
                             max_position_embeddings=1 << 20, rope_parameters=dict(rope))
        rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        name = f"{rope['rope_type']}_{len(cases)}"
        arrays[name] = numbers(rotary.inv_freq)
        cases.append(dict(name=name, head_dim=head_dim, rope=rope))
    save_file(arrays, OUT / "language" / "rope.safetensors", {"cases": json.dumps(cases), **versions()})


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__}


def main():
    global OUT
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    OUT = args.out
    torch.set_num_threads(1)
    for i, family in enumerate(FAMILIES):
        record(family, args.seed + i)
    record_rope()


if __name__ == "__main__":
    main()

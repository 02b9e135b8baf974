"""Loads LoRA adapter folders in peft and prints a JSON list of what it computes with each.

  check_adapter_folder.py BASE=ADAPTER=GOLDEN...

BASE: folder of a model, ADAPTER: the folder to check, GOLDEN: a safetensors file with `tokens` [B, S] and `logits`
[B, S, V] (make_lora.py). Each entry: `difference`, the largest one of the logits; `without`, the same of the base alone;
`stored`, `expected`, `taken`: tensors of the adapter's file, those peft has, those that are the same in both;
`complaints`, what it warned of.
"""
import json
import sys
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file


def check(base, adapter, golden):
    arrays = load_file(golden)
    tokens = arrays["tokens"].long()

    def difference(model):
        with torch.no_grad():
            return (model(input_ids=tokens).logits - arrays["logits"]).abs().max().item()

    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager",
                                                              dtype=torch.float32).eval()
    out = {"without": difference(model)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(model, adapter).eval()
    # peft itself calls what newer packages deprecate
    complaints = [str(w.message) for w in caught if not issubclass(w.category, (DeprecationWarning, FutureWarning))]
    stored = load_file(f"{adapter}/adapter_model.safetensors")
    taken = peft.get_peft_model_state_dict(model)
    return out | {"difference": difference(model), "complaints": complaints,
                  "taken": sum(name in taken and torch.equal(taken[name], value) for name, value in stored.items()),
                  "stored": len(stored), "expected": len(taken)}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(json.dumps([check(*argument.split("=")) for argument in sys.argv[1:]]))


if __name__ == "__main__":
    main()

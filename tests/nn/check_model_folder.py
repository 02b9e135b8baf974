"""Loads model folders in transformers and prints a JSON list of what it says of each.

  check_model_folder.py FOLDER=OTHER...

OTHER is the folder of a reference (`differ`, `config`: tensors, rounded to the folder's dtype, and keys that are not as
there), or tokens "1,2,3" (`logits` after the last one).
"""
import json
import logging
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file


class Complaints(logging.Handler):
    lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def check(folder, other):
    Complaints.lines.clear()
    model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True,
                                                                    attn_implementation="eager", dtype="auto")
    out = {"class": type(model).__name__, "dtype": str(model.dtype), "complaints": list(Complaints.lines),
           "info": {k: sorted(map(str, v)) for k, v in info.items() if v}}
    if not pathlib.Path(other).is_dir():
        with torch.no_grad():
            tokens = torch.tensor([[int(t) for t in other.split(",")]])
            return out | {"logits": model(input_ids=tokens).logits[0, -1].float().tolist()}
    own, reference = model.state_dict(), transformers.AutoModelForCausalLM.from_pretrained(other).state_dict()
    out["differ"] = sorted(name for name in reference.keys() | own.keys()
                           if name not in own or name not in reference
                           or not torch.equal(own[name], reference[name].to(own[name].dtype)))
    config, theirs = (transformers.AutoConfig.from_pretrained(f).to_dict() for f in (folder, other))
    # n_inner: 4 D where null; max_window_layers: of no meaning where no layer slides
    out["config"] = {k: [v, config.get(k)] for k, v in theirs.items() if config.get(k) != v
                     and k not in ("dtype", "_name_or_path", "n_inner", "max_window_layers")}
    files = sorted(pathlib.Path(folder).glob("*.safetensors"))
    return out | {"num_files": len(files), "num_tensors": sum(len(load_file(f)) for f in files)}


def main():
    transformers.logging.set_verbosity_warning()
    transformers.logging.get_logger().addHandler(Complaints())
    transformers.logging.disable_progress_bar()
    print(json.dumps([check(*argument.split("=")) for argument in sys.argv[1:]]))


if __name__ == "__main__":
    main()

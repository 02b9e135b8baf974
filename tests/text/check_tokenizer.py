"""check_tokenizer.py FOLDER: loads FOLDER/tokenizer.json with tokenizers and transformers and compares the ids of
text.txt with ids.txt and their text with decoded.txt. Run by tokenizer_peer_test.cc."""
import os
import pathlib
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"  # texts longer than model_max_length are meant here
import tokenizers
import transformers

folder = pathlib.Path(sys.argv[1])
read = lambda name: (folder / name).read_bytes().decode()
text, decoded = read("text.txt"), read("decoded.txt")
ids = [int(word) for word in read("ids.txt").split()]

plain = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
assert plain.encode(text).ids == ids, "tokenizers: other ids"
assert plain.decode(ids) == decoded, "tokenizers: other text"
auto = transformers.AutoTokenizer.from_pretrained(folder)
assert auto(text)["input_ids"] == ids, "transformers: other ids"
assert auto.decode(ids) == decoded, "transformers: other text"
assert len(auto) == plain.get_vocab_size(), "transformers: another vocabulary"
assert auto.model_max_length == 64

"""bench/text.py COMMAND: the text layer beside its Python peers, in turns in one run.

  templates   chat templates: ours (chat_template_bench) and jinja2's compiled template as transformers makes it
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEMPLATES = ["llama3", "llama3_1", "qwen2_5", "qwen3", "glm4moe", "gemma4_v5"]


def conversations():
    tool = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a place", "parameters": {
        "type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "a city"},
                                                               "days": {"type": "integer", "description": "how many"}}}}}
    words = "The quick brown fox jumps over the lazy dog. " * 6
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"{i}: {words}"} for i in range(21)]
    yield {"name": "short", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    yield {"name": "21 turns", "messages": turns}
    yield {"name": "tools", "tools": [tool] * 3, "messages": [
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome", "days": 2}}}]},
        {"role": "tool", "name": "get_weather", "content": "sunny"}, {"role": "assistant", "content": "Sunny."}, {"role": "user", "content": "Thanks"}]}


def peer_times(document, seconds):
    from transformers.utils.chat_template_utils import _compile_jinja_template
    times = {}
    for entry in document["templates"]:
        template = _compile_jinja_template(entry["text"])
        for conversation in document["conversations"]:
            values = dict(messages=conversation["messages"], tools=conversation.get("tools"), documents=None,
                          add_generation_prompt=True, **document["variables"])
            text = template.render(**values)
            count, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < seconds:
                template.render(**values)
                count += 1
            times.setdefault(entry["name"], {})[conversation["name"]] = {
                "microseconds": (time.perf_counter() - begin) / count * 1e6, "bytes": len(text.encode())}
    return times


def templates(args):
    import trl
    folder = pathlib.Path(trl.__file__).parent / "chat_templates"
    document = {"variables": {"bos_token": "<s>", "eos_token": "</s>", "date_string": "05 Jul 2024"},
                "templates": [{"name": name, "text": (folder / f"{name}.jinja").read_text()} for name in TEMPLATES],
                "conversations": list(conversations())}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        ours, theirs = [], []
        for _ in range(args.turns):
            run = subprocess.run([args.build / "bench/chat_template_bench", file.name, f"--seconds={args.seconds}"],
                                 check=True, capture_output=True, text=True)
            ours.append(json.loads(run.stdout))
            theirs.append(peer_times(document, args.seconds))
    ratios = []
    for name in TEMPLATES:
        for conversation in (c["name"] for c in document["conversations"]):
            cells = [[t[name][conversation] for t in times] for times in (ours, theirs)]
            assert cells[0][0]["bytes"] == cells[1][0]["bytes"], "another text"
            mine, peer = (min(c["microseconds"] for c in cell) for cell in cells)
            ratios.append(peer / mine)
            print(f"{name:12} {conversation:10} {cells[0][0]['bytes']:7} bytes  pawl {mine:8.2f} us  jinja2 {peer:8.1f} us  {peer / mine:5.1f}x")
    print(f"geometric mean {statistics.geometric_mean(ratios):.1f}x, least {min(ratios):.1f}x, most {max(ratios):.1f}x (best of {args.turns} turns)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("templates")
    command.add_argument("--turns", type=int, default=3)
    command.add_argument("--seconds", type=float, default=0.1)
    command.set_defaults(run=templates)
    args = parser.parse_args()
    args.run(args)


main()

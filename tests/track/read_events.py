"""Prints the scalars of a folder of event files as JSON, read by TensorBoard's own EventAccumulator.

    python read_events.py FOLDER  ->  {"tag": [[step, value], ...], ...}
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

accumulator = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
accumulator.Reload()
tags = accumulator.Tags()["scalars"]
print(json.dumps({tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in tags}))

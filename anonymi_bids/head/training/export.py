"""From a checkpoint to the weights that ship: half precision on disk, ONNX."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anonymi_bids.head.network import GRID_SHAPE
from anonymi_bids.head.training.losses import CLASS_WEIGHTS
from anonymi_bids.head.training.net import SUB, HeadNet
from anonymi_bids.io.atomic import atomic_path

OPSET = 18


def export(checkpoint: Path, target: Path) -> dict[str, Any]:
    """Write the averaged weights of a checkpoint as ONNX.

    Parameters
    ----------
    checkpoint : path
        Written by `anonymi_bids.head.training.loop.train`.
    target : path

    Returns
    -------
    dict
        ``step`` and ``recipe`` of the checkpoint, and the ``bytes`` written.
    """
    import onnx

    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
    recipe = kept["recipe"]
    net = HeadNet(recipe["width"], recipe["depth"])
    net.load_state_dict(unweighed(kept["mean"]))
    net.eval()
    with atomic_path(target) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.zeros(1, 1, *GRID_SHAPE),),
            temporary,
            input_names=["scan"],
            output_names=["fine", "coarse"],
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(temporary)
        halve(model)
        onnx.save(model, temporary)
    return {"step": kept["step"], "recipe": recipe, "bytes": target.stat().st_size}


def unweighed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Make the answers probabilities: training counts some classes several times.

    A network that was told off `w` times for a class says it `w` times too readily; taking
    ``log w`` off its logit undoes that (Saerens et al. 2002, doi:10.1162/089976602753284446).
    """
    bias = weights["fine.bias"].clone()
    for number, weight in enumerate(CLASS_WEIGHTS):
        bias[number * SUB : (number + 1) * SUB] -= math.log(weight)
    return {**weights, "fine.bias": bias}


def halve(model: Any) -> None:
    """Keep convolution weights in half precision; they are widened when the model is opened."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 256:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_half"))
        nodes.append(helper.make_node("Cast", [name + "_half"], [name], to=TensorProto.FLOAT))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)

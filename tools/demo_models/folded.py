# SPDX-License-Identifier: Apache-2.0
"""Takes up training again from an exported model, whose batch norms were folded into the
convolutions: they are unfolded by what a batch of pictures looks like in front of each of them. The
function of the model in evaluation is not changed by that."""
import onnx
import torch
from onnx import numpy_helper

from osnet import Light, Unit
from yolo11 import ConvUnit


def folded_pairs(model):
    """(name, convolution, norm) of each convolution that has a norm behind it."""
    for name, module in model.named_modules():
        if isinstance(module, ConvUnit):
            yield name + ".conv", module.conv, module.norm
        elif isinstance(module, Light):
            yield name + ".1", module[1], module[2]
        elif isinstance(module, Unit):
            yield name + ".0", module[0], module[1]


@torch.no_grad()
def load_folded(model, path, pictures):
    """Weights of the ONNX file at `path` (as export.py wrote it) for `model`; `pictures` are inputs
    by whose statistics the norms are set up."""
    stored = {t.name.removesuffix(".fp16"): torch.from_numpy(numpy_helper.to_array(t).astype("float32"))
              for t in onnx.load(path).graph.initializer}
    state = model.state_dict()
    state.update({k: v for k, v in stored.items() if k in state and state[k].shape == v.shape})
    model.load_state_dict(state)
    hooks = []
    for name, conv, norm in folded_pairs(model):
        bias = stored[name + ".bias"].to(pictures.device)

        def unfold(norm, inputs, conv=conv, bias=bias):
            x = inputs[0]
            deviation, mean = torch.std_mean(x.float(), (0, 2, 3), correction=0)
            deviation = deviation.clamp(min=1e-3)
            conv.weight /= deviation[:, None, None, None]  # as if the norm had trained with it: unit variance
            norm.running_mean.copy_(mean / deviation)
            norm.running_var.fill_(1)
            norm.weight.copy_(deviation * (1 + norm.eps) ** 0.5)
            norm.bias.copy_(mean + bias)
            return x / deviation[:, None, None].to(x.dtype)

        hooks.append(norm.register_forward_pre_hook(unfold))
    training = model.training
    model.eval()
    model(pictures)
    model.train(training)
    for hook in hooks:
        hook.remove()
    return len(hooks)

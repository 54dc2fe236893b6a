"""What PyTorch has: tensors, modules, optimizers, and how they are read, kept, and filled.

A module's numbers lie in many objects below it, an optimizer's and a loss's in the module's. Here
each of them is flat. Nothing but what PyTorch offers for reading is called, nor is a hook set.
"""

import sys

from . import variables

_NODES = 20000  # of a graph of operations


def _library():
    """PyTorch, where the program has imported all of it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "optim") and hasattr(torch, "nn") else None


def fields_of(value):
    """A module's parameters, buffers and modules by their names; nothing of other values."""
    torch = _library()
    if torch is None or not isinstance(value, torch.nn.Module):
        return {}
    spaces = (value.__dict__.get(name) or {} for name in ("_parameters", "_buffers", "_modules"))
    return {name: part for space in spaces for name, part in space.items()}


def modules_of(value):
    """A module and those below it, by their names; None of what is none."""
    torch = _library()
    if torch is None or not isinstance(value, torch.nn.Module):
        return None
    return torch.nn.Module.named_modules(value)


def described(value, backward=False):
    """The kind of a module, optimizer or generator, and what it holds by name; None of others.

    Args:
        backward: whether gradients matter: then so are a loss, and tensors that have some.
    """
    torch = _library()
    if torch is None:
        return None
    if isinstance(value, torch.nn.Module):
        weights = _weights(torch, value)
        gradients = _gradients(weights) if backward else {}
        return type(value).__name__, {**gradients, **weights, **_settings(torch, value)}
    if isinstance(value, torch.optim.Optimizer):
        return type(value).__name__, _of_optimizer(value)
    if isinstance(value, torch.Generator):
        return "Generator", {"state": value.get_state()}
    if backward and _has_gradients(torch, value):
        return "Tensor", {
            "gradients": [each.grad for each in _leaves(value)],
            "value": value.detach(),
        }
    return None


def _weights(torch, module):
    """Parameters and buffers of a module and all below it, each once."""
    return dict([
        *torch.nn.Module.named_parameters(module),
        *torch.nn.Module.named_buffers(module),
    ])  # fmt: skip


def _settings(torch, module):
    """What else modules were given: rates, widths, whether they train."""
    known, found = vars(torch.nn.Module()), {}
    for prefix, each in torch.nn.Module.named_modules(module):
        for name, part in vars(each).items():
            if name == "training" or (name not in known and not isinstance(part, torch.Tensor)):
                found["%s.%s" % (prefix, name)] = part
    return found


def _of_optimizer(value):
    parameters = _parameters(value)
    plain = [
        {name: part for name, part in group.items() if name != "params"}
        for group in value.param_groups
    ]
    return {
        "gradients": [each.grad for each in parameters],
        "parameters": parameters,
        "state": [dict(value.state.get(each) or {}) for each in parameters],
        "groups": plain,
    }


def _parameters(optimizer):
    return [each for group in optimizer.param_groups for each in group["params"]]


def _gradients(weights):
    return {name + ".grad": each.grad for name, each in weights.items() if each.grad is not None}


def _has_gradients(torch, value):
    """Whether a value is a parameter with a gradient, or a number that was made from such."""
    if not isinstance(value, torch.Tensor):
        return False
    if value.grad_fn is None:
        return value.requires_grad and value.grad is not None
    return value.dim() == 0


def _leaves(value):
    """The parameters from which a number was computed, in the order of its graph; or itself."""
    if value.grad_fn is None:
        return [value]
    seen, waiting, found = {value.grad_fn}, [value.grad_fn], []
    while waiting and len(seen) < _NODES:
        node = waiting.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        for other, _place in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                waiting.append(other)
    return found


class Packed:
    """What is kept of a value that other code holds parts of.

    Attributes:
        kind: tensor, loss, module, optimizer or generator; or variables of another library's.
        data: of its kind; of a tensor a copy, of others what to fill it with.
    """

    def __init__(self, kind, data):
        self.kind, self.data = kind, data

    def alone(self):
        """A value of its own where there is none to be filled; None where that cannot be."""
        return self.data if self.kind == "tensor" else None


def packed(value, backward=False):
    """A value as it is kept: of PyTorch's, so that another side's can be filled with it.

    Args:
        backward: whether gradients are taken in the statement.
    """
    numbers = variables.kept(value)
    if numbers is not None:
        return Packed("variables", numbers)
    torch = _library()
    if torch is None:
        return value
    if isinstance(value, torch.Tensor):
        if backward and _has_gradients(torch, value):
            gradients = [_copy(each.grad) for each in _leaves(value)]
            return Packed("loss", (_copy(value), gradients))
        return Packed("tensor", _copy(value))
    if isinstance(value, torch.nn.Module):
        weights = _weights(torch, value)
        copies = {name: _copy(each) for name, each in weights.items()}
        gradients = {name: _copy(each.grad) for name, each in weights.items()} if backward else {}
        return Packed("module", (copies, gradients))
    if isinstance(value, torch.optim.Optimizer):
        found = _of_optimizer(value)
        copies = {name: [_copy(each) for each in found[name]] for name in _TENSORS}
        state = [{name: _copy(part) for name, part in each.items()} for each in found["state"]]
        return Packed("optimizer", {**copies, "state": state, "groups": found["groups"]})
    if isinstance(value, torch.Generator):
        return Packed("generator", value.get_state())
    return value


_TENSORS = ("parameters", "gradients")


def _copy(value):
    torch = _library()
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def fill(here, kept):
    """Give a value what was kept of another of its kind; whether that was done."""
    torch = _library()
    fillers = {
        "variables": _fill_variables,
        "tensor": _fill_tensor,
        "loss": _fill_loss,
        "module": _fill_module,
        "optimizer": _fill_optimizer,
        "generator": _fill_generator,
    }
    try:
        return fillers[kept.kind](torch, here, kept.data)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return False  # what belongs to an inference, or to a compiled graph


def _fill_variables(_torch, here, data):
    return variables.fill(here, data)


def _fill_tensor(torch, here, data):
    alike = isinstance(here, torch.Tensor) and isinstance(data, torch.Tensor)
    if not alike or here.shape != data.shape or here.dtype is not data.dtype:
        return False
    here.data.copy_(data)
    return True


def _fill_loss(torch, here, data):
    value, gradients = data
    if not _fill_tensor(torch, here, value):
        return False
    leaves = _leaves(here)
    return len(leaves) == len(gradients) and all(
        _fill_gradient(torch, leaf, each) for leaf, each in zip(leaves, gradients)
    )


def _fill_gradient(torch, leaf, data):
    if data is None:
        leaf.grad = None
        return True
    if leaf.grad is None:
        leaf.grad = data.to(leaf.device)
        return True
    return _fill_tensor(torch, leaf.grad, data)


def _fill_module(torch, here, data):
    copies, gradients = data
    own = _weights(torch, here) if isinstance(here, torch.nn.Module) else {}
    return (
        own.keys() == copies.keys()
        and all(_fill_tensor(torch, own[name], each) for name, each in copies.items())
        and all(_fill_gradient(torch, own[name], each) for name, each in gradients.items())
    )


def _fill_optimizer(torch, here, data):
    own = _parameters(here) if isinstance(here, torch.optim.Optimizer) else []
    if len(own) != len(data["parameters"]) or len(here.param_groups) != len(data["groups"]):
        return False
    for each, value, gradient, state in zip(
        own, data["parameters"], data["gradients"], data["state"]
    ):
        if not _fill_tensor(torch, each, value) or not _fill_gradient(torch, each, gradient):
            return False
        if state:
            here.state[each] = state
    for group, plain in zip(here.param_groups, data["groups"]):
        group.update(plain)
    return True


def _fill_generator(_torch, here, data):
    here.set_state(data)
    return True

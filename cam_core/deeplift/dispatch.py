"""Which rule each torch function gets: a mode that reads the reference's values, then swaps in multipliers.

Two passes over the same tail. The first, on the reference, writes every rule's inputs and outputs to a tape; the
second, on the activations, reads them back in the same order and builds the graph whose gradients are the multipliers.
Nothing is attached to any module, so nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cam_core.deeplift.attention import Bilinear, Softmax
from cam_core.deeplift.decompositions import COMPOSITES
from cam_core.deeplift.rules import CaptumMaxPool, MaxPool, PoolWindow, Product, Quotient, Rescale, ScaledProduct
from cam_core.models.split.model import SplitModel
from cam_core.types import Activations, UnsupportedOperation

ELEMENTWISE = frozenset(
    "relu relu6 leaky_relu elu celu selu silu gelu sigmoid logsigmoid tanh hardtanh hardswish hardsigmoid softplus "
    "hardshrink softshrink softsign mish prelu exp expm1 log log1p sqrt rsqrt reciprocal square abs pow clamp clip "
    "clamp_min clamp_max tanhshrink threshold erf".split()
)

# Operations that are linear in whichever of their arguments varies, provided that only one does.
LINEAR = frozenset(
    "conv1d conv2d conv3d conv_transpose2d linear batch_norm add sub subtract radd rsub neg negative positive mul "
    "multiply rmul div divide truediv true_divide cat concat concatenate stack flatten unflatten reshape view view_as "
    "reshape_as permute transpose t movedim moveaxis swapaxes squeeze unsqueeze expand expand_as repeat "
    "repeat_interleave roll flip rot90 contiguous clone to float double type_as mean sum cumsum "
    "avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d dropout dropout2d feature_dropout alpha_dropout "
    "stochastic_depth getitem select narrow chunk "
    "split tensor_split unbind index_select interpolate upsample pad pixel_shuffle pixel_unshuffle channel_shuffle "
    "unfold matmul rmatmul bmm mm einsum get fold outer masked_fill where tril triu unsafe_chunk hstack vstack dstack "
    "broadcast_to index gather take_along_dim diagonal unsafe_split setitem copy".split()
)

# Linear in each of two arguments: with both moving, a product that has a rule.
BILINEAR = frozenset("matmul rmatmul bmm mm einsum linear conv1d conv2d conv3d".split())
SOFTMAX = frozenset(["softmax"])
MULTIPLY = frozenset("mul multiply rmul".split())
REVERSED_DIVIDE = frozenset(["rdiv", "rtruediv"])
DIVIDE = frozenset("div divide truediv true_divide".split()) | REVERSED_DIVIDE
# What may happen to a root, or to its inverse, before a norm multiplies by it.
_KEEPS_ROLE = frozenset(
    "add radd mul multiply rmul mean clamp clip clamp_min to float double type_as contiguous clone expand expand_as "
    "reshape view view_as squeeze unsqueeze getitem".split()
)
_MAXIMA = frozenset(["max", "amax"])
MAX_POOL = frozenset(["max_pool2d", "max_pool2d_with_indices"])


def plain_name(function: Callable[..., Any]) -> str:
    """`torch.Tensor.__iadd__`, `add_` and `torch.add` are all "add"."""
    name = getattr(function, "__name__", str(function)).strip("_")
    inplace = {"iadd": "add", "isub": "sub", "imul": "mul", "idiv": "div", "itruediv": "div", "ipow": "pow"}
    return inplace.get(name, name)


class RuleMode(TorchFunctionMode):
    """Runs the tail with rules in place of nonlinear functions; `tape` is None while it is being recorded.

    Args:
        tape: what an earlier pass on the reference recorded, or None to record one.
        captum_max_pool: use Captum's max-pool rule, which is not complete.
        write_back: carry out in-place operations in place, for networks whose graph is not known.
    """

    theory = "DeepLIFT"

    def __init__(
        self,
        tape: list[tuple[Tensor, ...]] | None = None,
        *,
        captum_max_pool: bool = False,
        write_back: bool = False,
    ) -> None:
        super().__init__()
        self._reading = tape is not None
        self.tape: list[tuple[Tensor, ...]] = list(reversed(tape)) if tape is not None else []
        self._write_back = write_back
        self._max_pool = CaptumMaxPool if captum_max_pool else MaxPool

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = plain_name(func)
        if name in ELEMENTWISE:
            return _marked(self._elementwise(func, args, kwargs), _role(name, args))
        if name in MULTIPLY and _two_tensors(args):
            return self._written(func, args[0], self._product(args[0], args[1]))
        if name in BILINEAR and _is_product(name, args):
            return self._bilinear(func, args, kwargs)
        if name in SOFTMAX:
            return self._softmax(*args, **kwargs)
        if name in DIVIDE and kwargs.get("rounding_mode") is None:
            over, under = (args[1], args[0]) if name in REVERSED_DIVIDE else args[:2]
            if _two_tensors((over, under)):
                return self._written(func, args[0], self._quotient(over, under))
            if isinstance(under, Tensor):
                with self:  # a number over it: two operations that have rules
                    return torch.reciprocal(under) * over
        if name in MAX_POOL:
            return self._pool(args, kwargs)
        composite = COMPOSITES.get(name)
        if composite is not None and (name not in _MAXIMA or _over_one_dimension(args, kwargs)):
            with self:
                return composite(*args, **kwargs)
        return self._pass_through(func, name, args, kwargs)

    def no_rule_for(self, name: str, what: str = "") -> UnsupportedOperation:
        """The error that names the operation, and says more of it than its name does."""
        return UnsupportedOperation(
            f"{self.theory} has no rule for the operation {name!r}{what} in this tail: choose a later layer, or a "
            "method that needs no rule, such as grad-cam or shap-cam"
        )

    def _pass_through(self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        linear = name in LINEAR and not (name in BILINEAR and varying(args, kwargs) > 1)
        if not linear and _requires_grad(out):
            raise self.no_rule_for(name)
        return _marked(out, _role(name, args)) if linear and isinstance(out, Tensor) else out

    def _elementwise(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        value, constants = args[0], args[1:]
        if varying(constants, kwargs):
            raise self.no_rule_for(plain_name(func), " of two varying tensors")
        function = _out_of_place(func)
        written_to = kwargs.pop("inplace", False) or function is not func

        def operation(x: Tensor) -> Tensor:
            result: Tensor = function(x, *constants, **kwargs)
            return result

        out = self._ruled(value, operation)
        # Where the network was not traced, someone may read the overwritten tensor instead of the result.
        return value.copy_(out) if written_to and self._write_back else out

    def _ruled(self, value: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
        if not self._reading:
            out = operation(value)
            self.tape.append((*self._kept(value), out))
            return out
        reference, reference_out = self.tape.pop()
        if not value.requires_grad:
            return operation(value)
        result: Tensor = Rescale.apply(value, operation, reference, reference_out)
        return result

    def _kept(self, *values: Tensor) -> tuple[Tensor, ...]:
        """What goes onto the tape: copies where the network may write into the values."""
        return tuple(value.clone() for value in values) if self._write_back else values

    def _written(self, func: Callable[..., Any], value: Tensor, out: Tensor) -> Tensor:
        """`out`, in the place of `value` where the function writes there and somebody may read it there."""
        return value.copy_(out) if self._write_back and _out_of_place(func) is not func else out

    def _bilinear(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        places = [place for place, value in enumerate(args) if isinstance(value, Tensor)][:2]
        rest = {place: value for place, value in enumerate(args) if place not in places}

        def operation(x: Tensor, y: Tensor) -> Tensor:
            both = {**rest, places[0]: x, places[1]: y}
            out: Tensor = func(*(both[place] for place in range(len(args))), **kwargs)
            return out

        x, y = (args[place] for place in places)
        if not self._reading:
            self.tape.append(self._kept(x, y))
            return operation(x, y)
        x_reference, y_reference = self.tape.pop()
        if varying(tuple(rest.values()), kwargs):
            raise self.no_rule_for(plain_name(func), " of three varying tensors")
        if not (x.requires_grad and y.requires_grad):
            return operation(x, y)
        product: Tensor = Bilinear.apply(x, y, operation, x_reference, y_reference)
        return product

    def _softmax(
        self, value: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
    ) -> Tensor:
        if dim is None:
            raise self.no_rule_for("softmax", " without a dimension")
        value = value if dtype is None else value.to(dtype)
        if not self._reading:
            self.tape.append(self._kept(value))
            return value.softmax(dim)
        (reference,) = self.tape.pop()
        weights: Tensor = Softmax.apply(value, reference, dim) if value.requires_grad else value.softmax(dim)
        return weights

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        if not self._reading:
            self.tape.append(self._kept(a, b))
            return a * b
        a_reference, b_reference = self.tape.pop()
        if not (a.requires_grad and b.requires_grad):
            return _marked(a * b, _role("mul", (a, b)))
        result: Tensor
        if _role_of(b) == "inverse":
            result = ScaledProduct.apply(a, b, a_reference)
        elif _role_of(a) == "inverse":
            result = ScaledProduct.apply(b, a, b_reference)
        else:
            result = Product.apply(a, b, a_reference, b_reference)
        return result

    def _quotient(self, a: Tensor, b: Tensor) -> Tensor:
        if not self._reading:
            self.tape.append(self._kept(a, b))
            return a / b
        a_reference, b_reference = self.tape.pop()
        norm = _role_of(b) == "root"
        if not b.requires_grad:
            return _marked(a / b, _role("mul", (a, b)))
        result: Tensor = Quotient.apply(a, b, a_reference, b_reference, norm)
        return _marked(result, "inverse" if norm and not a.requires_grad else "")

    def _pool(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        value = given.pop("input")
        if given.get("return_indices"):
            raise UnsupportedOperation(f"{self.theory} has no rule for max-pooling that returns indices")
        return self._max_pooled(value, PoolWindow(**given))

    def _max_pooled(self, value: Tensor, window: PoolWindow) -> Tensor:
        if not self._reading:
            self.tape.append((value,))
        else:
            (reference,) = self.tape.pop()
            if value.requires_grad:
                result: Tensor = self._max_pool.apply(value, reference.expand_as(value), window)
                return result
        return window.pool(value)


def check_rules(net: SplitModel, acts: Activations, mode: type[RuleMode]) -> None:
    """Whether the mode has a rule for every operation of the tail: one forward pass.

    Raises:
        UnsupportedOperation: it has none for one; it is named.
    """
    leaf = acts.detach().clone().requires_grad_()
    with torch.enable_grad(), mode(write_back=net.halves.tail_graph is None):
        net.tail(leaf)


def _out_of_place(func: Callable[..., Any]) -> Callable[..., Any]:
    name = getattr(func, "__name__", "")
    if not name.endswith("_") or name.endswith("__"):
        return func
    for namespace in (torch.nn.functional, torch, Tensor):
        if hasattr(namespace, name[:-1]):
            twin: Callable[..., Any] = getattr(namespace, name[:-1])
            return twin
    raise UnsupportedOperation(f"no out-of-place form of {name!r} is known, and only that has a rule")


def _marked(tensor: Tensor, role: str) -> Tensor:
    """Remember with a tensor that it is a "root" or the "inverse" of one: by those norms divide and multiply."""
    if role:
        tensor.__dict__["norm_role"] = role
    return tensor


def _role_of(value: Any) -> str:
    return str(value.__dict__.get("norm_role", "")) if isinstance(value, Tensor) else ""


def _role(name: str, args: tuple[Any, ...]) -> str:
    """The role of what the operation yields; "" for everything that no norm is made of."""
    power = {"sqrt": 0.5, "rsqrt": -0.5}.get(name) or (args[1] if name == "pow" and len(args) > 1 else None)
    if power in (0.5, -0.5):
        return "root" if power > 0 else "inverse"
    roles = [_role_of(value) for value in args if isinstance(value, Tensor) and value.requires_grad]
    if name == "reciprocal" and roles == ["root"]:
        return "inverse"
    return roles[0] if name in _KEEPS_ROLE and len(roles) == 1 else ""


def _over_one_dimension(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return isinstance(kwargs.get("dim", args[1] if len(args) > 1 else None), int) and args[0].ndim > 1


def _two_tensors(args: tuple[Any, ...]) -> bool:
    return len(args) > 1 and isinstance(args[0], Tensor) and isinstance(args[1], Tensor)


def _is_product(name: str, args: tuple[Any, ...]) -> bool:
    """Of two tensors, neither of which is a weight."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    two = len(tensors) == 2 or (len(tensors) == 3 and name not in ("matmul", "rmatmul", "bmm", "mm", "einsum"))
    return two and not any(isinstance(value, torch.nn.Parameter) for value in tensors[:2])


def varying(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many of the arguments depend on the activations."""
    return sum(isinstance(a, Tensor) and a.requires_grad for a in (*args, *kwargs.values()))


def _requires_grad(out: Any) -> bool:
    if isinstance(out, Tensor):
        return out.requires_grad
    return isinstance(out, list | tuple) and any(_requires_grad(item) for item in out)

"""Rebuild a model from its parts: the walk that restriction and materialisation share."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._knots import Knots

# What a part is replaced by; None to look inside it instead.
Rule = Callable[[Any], Any]
M = TypeVar("M", bound=eqx.Module)


def rewrite(part: Any, rule: Rule) -> Any:
    """`part` with all parts of it replaced for which `rule` has a replacement, static fields included.

    Looks into modules, tuples, lists and dictionaries. `Knots` are taken apart, each module for itself, and put together
    again. Whatever has no replaced part inside is returned as it is.
    """
    replacement = rule(part)
    if replacement is not None:
        return replacement
    if isinstance(part, Knots):
        modules = [rewrite(_one(part.stack, i), rule) for i in range(part.count)]
        return eqx.tree_at(lambda k: k.stack, part, _stacked(modules))
    if isinstance(part, eqx.Module):
        return _rebuilt(part, rule)
    if isinstance(part, tuple | list) and type(part) in (tuple, list):
        return type(part)(rewrite(item, rule) for item in part)
    if type(part) is dict:
        return {name: rewrite(item, rule) for name, item in part.items()}
    return part


def with_fields(module: M, **changes: Any) -> M:
    """`module` with other values of some fields, static ones included; its `__init__`, which draws weights, is not run."""
    built = object.__new__(type(module))
    for field in dataclasses.fields(module):  # type: ignore[arg-type]
        if field.name in changes or hasattr(module, field.name):
            object.__setattr__(built, field.name, changes.get(field.name, getattr(module, field.name, None)))
    return built


def _rebuilt(module: eqx.Module, rule: Rule) -> eqx.Module:
    old = {f.name: getattr(module, f.name) for f in dataclasses.fields(module) if hasattr(module, f.name)}
    new = {name: rewrite(value, rule) for name, value in old.items()}
    if all(new[name] is old[name] for name in old):
        return module
    return with_fields(module, **new)


def _one(stack: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i] if eqx.is_inexact_array(leaf) else leaf, stack)


def _stacked(modules: list[Any]) -> Any:
    arrays = [eqx.filter(m, eqx.is_inexact_array) for m in modules]
    static = eqx.filter(modules[0], eqx.is_inexact_array, inverse=True)
    return eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), static)

"""The states of a solve, written down as it goes, in less memory than there may be steps."""

import math
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp

# A quarter of a MiB of states, where that is between these numbers of them.
_BYTES, _FEWEST, _MOST = 2**18, 64, 1024


class Tape(eqx.Module):
    """Every s-th state of a solve, s = 1, 2, 4, ... the least for which all n/s fit in K places.

    A state that has no place any more, since s has doubled, gives its own to one that is written later: the i-th state
    written at stride s goes where that of step (2i + 1) s/2 was. Read backwards, with the steps between two states taken
    again (`replay`) into s more places.

    - `rows`: K states and one that is never read; `places`: for each step the row of its state;
    - `knots` (max_steps, 2): start and end of each step; `jumps`: whether the field had jumped before, or None;
    - `stride`: s; `replayed`: states of the steps since the last one on the tape.
    """

    rows: Any
    places: Any
    knots: Any
    jumps: Any
    stride: Any
    replayed: Any
    size: int = eqx.field(static=True)

    @staticmethod
    def of(record: Any, times: Any, jump: Any, checkpoints: int | None, max_steps: int) -> "Tape":
        """An empty tape for records like this one."""
        bytes_each = sum(a.size * a.dtype.itemsize for a in map(jnp.asarray, jax.tree.leaves(record)))
        size = min(max(_FEWEST, _BYTES // max(bytes_each, 1)), _MOST) if checkpoints is None else checkpoints
        # K is even, for half of the states to make room.
        size = max_steps if size >= max_steps else max(2, size // 2 * 2)
        whole = size == max_steps
        longest = 0 if whole else 2 ** math.ceil(math.log2(max_steps / size))

        def empty(count: int, like: Any) -> Any:
            return jax.tree.map(lambda a: jax.lax.empty((count, *jnp.shape(a)), jnp.result_type(a)), like)

        return Tape(
            rows=empty(size if whole else size + 1, record),
            places=None if whole else jax.lax.empty((max_steps,), jnp.result_type(0)),
            knots=jax.lax.empty((max_steps, 2), jnp.result_type(*times)),
            jumps=None if type(jump) is bool else empty(max_steps, jump),
            stride=None if whole else jnp.asarray(1),
            replayed=None if whole else empty(longest, record),
            size=size,
        )

    @property
    def buffers(self) -> Any:
        """What is written in place."""
        return self.rows, self.places, self.knots, self.jumps, self.replayed

    def write(self, n: Any, record: Any, times: Any, jump: Any) -> "Tape":
        """With the state before step n, which overwrites what a rejected attempt at the same step has left."""
        knots = self.knots.at[n].set(jnp.stack(times))
        jumps = None if self.jumps is None else self.jumps.at[n].set(jump)
        places, stride, place = self.places, self.stride, n
        if places is not None:
            stride = jnp.where(n == self.size * stride, 2 * stride, stride)
            freed = (2 * (n // stride - self.size // 2) + 1) * stride // 2
            place = jnp.where(stride == 1, n, places[jnp.maximum(freed, 0)])
            place = jnp.where(n % stride == 0, place, self.size)
            places = places.at[n].set(place)
        rows = jax.tree.map(lambda a, all_: all_.at[place].set(a), record, self.rows)
        return Tape(rows, places, knots, jumps, stride, self.replayed, self.size)

    def replay(self, i: Any, n: Any, step: Any, jump: Any) -> "Tape":
        """With the states since the last one on the tape, if i is the last step of the n before the next one."""
        if self.places is None:
            return self
        start = i - i % self.stride
        record = self._row(self.places[start])
        replayed = jax.tree.map(lambda a, all_: all_.at[0].set(a), record, self.replayed)
        needed = (self.stride > 1) & ((i == n - 1) | ((i + 1) % self.stride == 0))

        def body(carry: Any) -> Any:
            k, record, replayed = carry
            jumped = jump if self.jumps is None else self.jumps[k]
            record = step(record, self.knots[k, 0], self.knots[k, 1], jumped)
            return k + 1, record, jax.tree.map(lambda a, all_: all_.at[k + 1 - start].set(a), record, replayed)

        def between(carry: Any) -> Any:
            return needed & (carry[0] < i)

        carry = start, record, replayed
        replayed = eqxi.while_loop(between, body, carry, buffers=lambda c: c[2], kind="lax")[2]
        return eqx.tree_at(lambda t: t.replayed, self, replayed)

    def read(self, i: Any, jump: Any) -> Any:
        """The state before step i, its start and its end, and whether the field had jumped."""
        jumped = jump if self.jumps is None else self.jumps[i]
        if self.places is None:
            record = self._row(i)
        else:
            passed = i % self.stride
            again = jax.tree.map(lambda _, all_: all_[passed], self.rows, self.replayed)
            record = jax.tree.map(lambda a, b: jnp.where(self.stride == 1, a, b), self._row(self.places[i]), again)
        return record, self.knots[i, 0], self.knots[i, 1], jumped

    def _row(self, k: Any) -> Any:
        return jax.tree.map(lambda all_: all_[k], self.rows)

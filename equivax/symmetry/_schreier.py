"""Stabiliser chains (Schreier, Sims): order, membership and uniform samples of finite groups too large to list."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._types import Element, Key, Matrices
from ._errors import GroupError

# A finite group moves the basis vectors to finitely many places; beyond this many it is not called finite.
ORBIT_CAP = 20_000
# A level stores one permutation of all points for each point of an orbit: this many points are 36 MB.
CHAIN_LIMIT = 3_000
# So many random elements in a row that add nothing end the random search, which a complete check then confirms.
QUIET_ROUNDS = 12

Permutation = Int[np.ndarray, " _n"]
Permutations = Int[np.ndarray, "_k _n"]


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    r"""One step $G^{(i)} > G^{(i+1)}$ of a stabiliser chain: $G^{(i+1)}$ fixes the point `base`.

    - `orbit`: the `s` images of `base` under $G^{(i)}$.
    - `transversal`: `(s, N)`, permutations $u$ in $G^{(i)}$ with $u(\text{base})$ equal to each point of the orbit;
      `inverses` are theirs, and `position[p]` is the row of point $p$, or -1.
    """

    base: int
    generators: Permutations
    orbit: Permutation
    transversal: Permutations
    inverses: Permutations
    position: Permutation


@dataclasses.dataclass(frozen=True, eq=False)
class StabiliserChain:
    r"""A finite matrix group as a chain of stabilisers in its action on the images of the basis vectors.

    $$ G = G^{(0)} > G^{(1)} > \dots > 1, \qquad |G| = \prod_i |G^{(i)} : G^{(i+1)}| $$

    `points` are the images, `(N, d)`, the basis vectors first; the action on them is faithful because they span. Each
    element is one product $u_0 u_1 \cdots$ of transversals, so that independent uniform factors make a uniform element.

    Source: Sims, *Computational methods in the study of permutation groups*, 1970; Seress, *Permutation Group
    Algorithms*, 2003, chapter 4.
    """

    points: Float[np.ndarray, "N d"]
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        """The number of elements, exactly."""
        return math.prod(len(level.orbit) for level in self.levels)

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A uniformly random element."""
        sizes = np.array([len(level.orbit) for level in self.levels], dtype=np.int64)
        table = jnp.asarray(np.concatenate([level.transversal for level in self.levels]))
        rows = jnp.asarray(np.cumsum(sizes) - sizes) + jax.random.randint(key, sizes.shape, 0, jnp.asarray(sizes))
        composed = jax.lax.scan(lambda p, row: (p[table[row]], None), jnp.arange(len(self.points)), rows)[0]
        return jnp.asarray(self.points)[composed[: self.points.shape[1]]].T

    def contains(self, g: Element) -> bool:
        """Whether a matrix is an element: it permutes the points, and sifts to the identity."""
        try:
            permutation = _permutation(self.points, np.asarray(g, np.float64))
        except KeyError:
            return False
        return bool(sift(self.levels, permutation[None])[1][0])


def orbit_of_basis(generators: Matrices) -> Float[np.ndarray, "N d"]:
    """All images of the basis vectors under products of the generators, `(N, d)`, the basis vectors first.

    **Raises:** `GroupError` when there are more than 20,000: the group is infinite, or far larger than a chain can hold.
    """
    frontier = np.eye(generators.shape[-1])
    found, seen = list(frontier), set(_names(frontier))
    while len(frontier) and len(generators):
        images = np.einsum("mij,nj->nmi", generators, frontier).reshape(-1, frontier.shape[1])
        fresh = []
        for name, image in zip(_names(images), images, strict=True):
            if name not in seen:
                seen.add(name)
                fresh.append(image)
        found += fresh
        frontier = np.array(fresh)
        if len(found) > ORBIT_CAP:
            raise GroupError(
                f"The {len(generators)} discrete generators do not close into a finite group: the basis vectors have more "
                f"than {ORBIT_CAP} different images. Check their entries (a rotation by an irrational part of a turn never "
                "closes), or give the continuous part as `lie_algebra`."
            )
    return np.stack(found)


def stabiliser_chain(generators: Matrices, points: Float[np.ndarray, "N d"]) -> StabiliserChain:
    """The stabiliser chain of the finite group that matrices `(m, d, d)` generate, on its `orbit_of_basis`.

    Random elements fill the chain; then all Schreier generators are sifted, so that the order is certain.
    """
    moves = np.array([_permutation(points, h) for h in generators], dtype=np.int64).reshape(-1, len(points))
    levels: list[Level] = []
    for h in moves:
        _insert(levels, h, 0)
    _fill_at_random(levels, moves)
    while (missing := _missing(levels, points.shape[1])) is not None:
        _insert(levels, *missing)
    return StabiliserChain(points, tuple(levels))


def sift(
    levels: "list[Level] | tuple[Level, ...]", moves: Permutations
) -> tuple[Permutations, Bool[np.ndarray, " _k"]]:
    """Divides permutations by the transversals of the levels: what is left, and whether it is the identity.

    Of each permutation the images of the basis vectors, the first points, are enough: `(k, d)`.
    """
    moves, alive = moves.copy(), np.ones(len(moves), bool)
    for level in levels:
        rows = level.position[moves[:, level.base]]
        alive &= rows >= 0
        moves[alive] = level.inverses[rows[alive, None], moves[alive]]
    return moves, alive & (moves == np.arange(moves.shape[1])).all(axis=1)


def _insert(levels: list[Level], move: Permutation, start: int) -> bool:
    """Makes the chain from level `start` on contain a permutation that fixes the earlier base points."""
    depth, residue = start, move
    while depth < len(levels) and (row := levels[depth].position[residue[levels[depth].base]]) >= 0:
        residue = levels[depth].inverses[row][residue]
        depth += 1
    moved = np.flatnonzero(residue != np.arange(len(residue)))
    if not len(moved):
        return False
    if depth == len(levels):
        levels.append(_level(int(moved[0]), residue[None][:0]))
    for i in range(start, depth + 1):
        level, known = levels[i], np.concatenate([levels[i].generators, residue[None]])
        closed = (level.position[residue[level.orbit]] >= 0).all()
        levels[i] = dataclasses.replace(level, generators=known) if closed else _level(level.base, known)
    return True


def _level(base: int, generators: Permutations) -> Level:
    """The orbit of a point, breadth first, with an element that leads to each of its points."""
    size = generators.shape[1]
    orbit, transversal, position = [base], [np.arange(size)], np.full(size, -1)
    position[base] = 0
    for p in orbit:  # grows while it is walked
        for s in generators:
            if position[q := int(s[p])] < 0:
                position[q] = len(orbit)
                orbit.append(q)
                transversal.append(s[transversal[position[p]]])
    rows = np.stack(transversal)
    return Level(base, generators, np.array(orbit), rows, np.argsort(rows, axis=1), position)


def _fill_at_random(levels: list[Level], moves: Permutations) -> None:
    """Inserts random products (product replacement) until many in a row add nothing."""
    if not len(moves):
        return
    rng = np.random.default_rng(0)
    slots = [moves[i % len(moves)] for i in range(max(10, len(moves)))]
    quiet, step = 0, 0
    while quiet < QUIET_ROUNDS:
        i, j = rng.choice(len(slots), 2, replace=False)
        slots[i] = slots[i][slots[j]] if rng.integers(2) else slots[j][slots[i]]
        step += 1
        if step > 4 * len(slots):  # mixed by then
            quiet = 0 if _insert(levels, slots[i], 0) else quiet + 1


def _missing(levels: list[Level], d: int) -> tuple[Permutation, int] | None:
    """A Schreier generator that the chain lacks, with the level that it belongs to; None when the chain is complete."""
    for i, level in reversed(list(enumerate(levels))):
        for s in level.generators:
            moved = s[level.transversal[:, :d]]
            rows = level.position[moved[:, level.base]]
            inside = sift(levels[i + 1 :], level.inverses[rows[:, None], moved])[1]
            if not inside.all():
                j = int(np.argmin(inside))
                return level.inverses[rows[j]][s[level.transversal[j]]], i + 1
    return None


def _permutation(points: Float[np.ndarray, "N d"], h: Element) -> Permutation:
    index = _index_of(points.tobytes(), points.shape)
    return np.array([index[name] for name in _names(points @ h.T)])


@functools.lru_cache(maxsize=64)
def _index_of(data: bytes, shape: tuple[int, int]) -> dict[bytes, int]:
    points = np.frombuffer(data).reshape(shape)
    return {name: i for i, name in enumerate(_names(points))}


def _names(vectors: Float[np.ndarray, "n d"]) -> list[bytes]:
    """Hashable names, equal for vectors that agree to a millionth.

    The shift keeps fractions such as 1/128 away from the edges of the rounding.
    """
    return [row.tobytes() for row in np.floor(vectors * 1e6 + 1 / np.e).astype(np.int64)]

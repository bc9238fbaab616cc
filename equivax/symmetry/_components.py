"""Connected components: which products of the discrete generators lie in the identity component."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Float

from .._types import Matrices
from ._errors import GroupError
from ._nullspace import null_space
from ._properties import radical

# More components than this, and the discrete part is called infinite.
COMPONENT_CAP = 1_000
# A finite group of marks has bounded entries; these have run away.
RUNAWAY = 1e9
# Representations larger than this are not asked to tell components apart.
MARK_LIMIT = 300
# How far from the identity component, relative to its size, an element may be to count as inside.
INSIDE = 1e-8
# How many starts, each further from the identity, the search for a way to it makes.
ATTEMPTS = 16

Matrix = Float[np.ndarray, "_m _n"]


@dataclasses.dataclass(frozen=True, eq=False)
class Mark:
    r"""What tells components apart: the action of an element on the vectors of a representation that $G_0$ fixes.

    - `power`: the representation, a function of matrices.
    - `fixed`: the fixed vectors in it, `(dim, r)`, orthonormal columns.
    """

    power: Callable[[Matrix], Matrix]
    fixed: Matrix

    def __call__(self, g: Matrix) -> Matrix:
        return self.fixed.T @ self.power(g) @ self.fixed


def component_representatives(algebra: Matrices, discrete: Matrices) -> Matrices:
    r"""One element of each component of $\langle e^{\mathfrak g}, h_j \rangle$, `(c, d, d)`, the identity first.

    Two elements are in different components when they act differently on vectors fixed by $G_0$ (`told_apart`); in the
    same one when their quotient is shown to be $e^\xi e^\eta$ with $\xi, \eta$ in the Lie algebra, as every element of a
    connected group is (Moskowitz, Sacksteder 2003).

    **Raises:** `GroupError` when there are more than 1,000 components, or neither is shown of some pair; `RankError` when
    the generators have too few digits.
    """
    found, quotients = told_apart(algebra, discrete)
    for j, g in quotients:
        if not in_identity_component(g, algebra):
            raise GroupError(
                f"Whether discrete_generators[{j}] leads to another component is not decided: a product of the generators "
                "was neither reached from the identity along the Lie algebra nor told apart from it. Give generators "
                "with that element left out, or coordinates in which transposes of elements are elements."
            )
    return found


def told_apart(algebra: Matrices, discrete: Matrices) -> tuple[Matrices, list[tuple[int, Matrix]]]:
    """Products of the discrete generators that are in different components for certain, breadth first.

    Also the quotients $g r^{-1}$ of products $g$ that look like one, $r$, of those, with the last factor of $g$.

    **Raises:** `GroupError` when there are more than 1,000.
    """
    one = np.eye(algebra.shape[-1])
    if not len(discrete):
        return one[None], []
    marks = _marks(algebra, discrete)
    # On vectors that G_0 fixes, products of elements act by products of these.
    actions = [scipy.linalg.block_diag(np.sign(np.linalg.det(h)), *(mark(h) for mark in marks)) for h in discrete]
    found, acts, quotients, position = [one], [np.eye(len(actions[0]))], [], 0
    names = {_name(acts[0]): 0}
    while position < len(found):
        for j, h in enumerate(discrete):
            g, act = h @ found[position], actions[j] @ acts[position]
            twin = names.setdefault(_name(act), len(found))
            if twin < len(found):
                quotients.append((j, g @ np.linalg.inv(found[twin])))
                continue
            found.append(g)
            acts.append(act)
            if len(found) > COMPONENT_CAP or np.abs(act).max() > RUNAWAY:
                raise GroupError(
                    f"The discrete generators make more than {COMPONENT_CAP} components: one of them has infinite order "
                    "modulo the identity component. Check their entries, or add the missing direction to `lie_algebra`."
                )
        position += 1
    return np.stack(found), quotients


def in_identity_component(g: Matrix, algebra: Matrices) -> bool:
    r"""Whether $g = e^\xi e^\eta$ was found, with $\xi, \eta$ in the Lie algebra."""
    one = np.eye(len(g))
    if np.linalg.norm(g - one) < INSIDE * np.linalg.norm(g):
        return True
    rng = np.random.default_rng(0)
    size = float(np.linalg.norm(algebra, 2, axis=(1, 2)).max()) if len(algebra) else 1.0

    def miss(w: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        xi, eta = np.tensordot(w.reshape(2, -1), algebra, 1)
        return (scipy.linalg.expm(xi) @ scipy.linalg.expm(eta) - g).reshape(-1)

    for attempt in range(ATTEMPTS if len(algebra) else 0):
        start = (1 + attempt) / size * rng.normal(size=2 * len(algebra))
        end = scipy.optimize.least_squares(miss, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=100)
        if np.linalg.norm(end.fun) < INSIDE * np.linalg.norm(g):
            return True
    return False


def _marks(algebra: Matrices, discrete: Matrices) -> list[Callable[[Matrix], Matrix]]:
    r"""Marks on the matrices as they are, and on their compact part.

    The compact part is the orthogonal factor of the block-diagonal part, where the group with $g$ contains $g^\top$: then
    $G_0 = K_0 \exp(\mathfrak p)$ (Knapp, *Lie Groups Beyond an Introduction*, 2002, proposition 1.143).
    """
    d = algebra.shape[-1]
    plain: list[Callable[[Matrix], Matrix]] = [_mark(p, algebra) for p in _powers(d)]
    blocks = _semisimple_blocks(algebra, discrete)
    graded = np.stack([_graded(A, blocks) for A in algebra]) if len(algebra) else algebra
    span = scipy.linalg.orth(graded.reshape(-1, d * d).T, rcond=1e-10) if len(graded) else np.zeros((d * d, 0))

    def inside(matrix: Matrix) -> bool:
        vector = matrix.reshape(-1)
        return bool(
            np.linalg.norm(vector - span @ (span.T @ vector)) < INSIDE * max(1.0, float(np.linalg.norm(vector)))
        )

    if not all(inside(A.T) for A in graded):
        return plain
    units = span.T.reshape(-1, d, d)
    symmetric = (units + units.transpose(0, 2, 1)).reshape(len(units), d * d)
    turns = np.tensordot(null_space(symmetric.T).vectors, units, 1) if len(units) else units
    tensors = [_exterior(d, k) for k in range(1, d + 1) if math.comb(d, k) <= MARK_LIMIT]
    if d**3 <= MARK_LIMIT:
        tensors.append(lambda g: np.kron(g, np.kron(g, g)))
    compact = [_mark(power, turns) for power in tensors]

    def compact_part(g: Matrix) -> Matrix:
        return scipy.linalg.polar(_graded(g, blocks))[0]

    if not all(inside(scipy.linalg.logm(compact_part(h).T @ _graded(h, blocks)).real) for h in discrete):
        return plain
    return plain + [lambda g, mark=mark: mark(compact_part(g)) for mark in compact]


def _name(action: Matrix) -> bytes:
    return np.floor(action * 1e5 + 1 / np.e).astype(np.int64).tobytes()


def _mark(power: Callable[[Matrix], Matrix], algebra: Matrices) -> Mark:
    one = power(np.eye(algebra.shape[-1]))
    # Short enough that no eigenvalue of the exponential comes round to 1.
    steps = [scipy.linalg.expm(A / (8.0 * np.linalg.norm(A))) for A in algebra]
    constraints = np.concatenate([power(g) - one for g in steps]) if steps else np.zeros((0, len(one)))
    return Mark(power, null_space(constraints).vectors.T)


def _powers(d: int) -> list[Callable[[Matrix], Matrix]]:
    powers: list[Callable[[Matrix], Matrix]] = [lambda g: g, lambda g: np.linalg.inv(g).T]
    if d * d <= MARK_LIMIT:
        powers += [lambda g: np.kron(g, np.linalg.inv(g).T), lambda g: np.kron(g, g)]
    return powers


def _exterior(d: int, k: int) -> Callable[[Matrix], Matrix]:
    r"""The exterior power $\Lambda^k$ of matrices: all minors of size $k$."""
    choices = np.array(list(itertools.combinations(range(d), k)))
    return lambda g: np.linalg.det(g[choices[:, None, :, None], choices[None, :, None, :]])


def _semisimple_blocks(algebra: Matrices, discrete: Matrices) -> list[Matrix]:
    r"""Orthonormal bases of $V_i \ominus V_{i+1}$ in the flag $V_0 = \mathbb{R}^d$, $V_{i+1} = J V_i$, with $J$ the radical."""
    d = algebra.shape[-1]
    J, space, blocks = radical(algebra, discrete), np.eye(d), []
    while space.shape[1]:
        images = np.concatenate([x @ space for x in J], axis=1) if len(J) else np.zeros((d, 1))
        below = scipy.linalg.orth(images, rcond=1e-8) if np.abs(images).max() > 1e-9 else np.zeros((d, 0))
        rest = space - below @ (below.T @ space)
        blocks.append(scipy.linalg.orth(rest, rcond=1e-8))
        space = below
    return blocks


def _graded(g: Matrix, blocks: list[Matrix]) -> Matrix:
    """The block-diagonal part of a matrix along the flag: a homomorphism with unipotent kernel."""
    return scipy.linalg.block_diag(*(Q.T @ g @ Q for Q in blocks))

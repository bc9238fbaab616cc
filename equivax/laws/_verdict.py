"""What a law answers: a verdict, and tables of them."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

# One number, or one for each sample.
Samples = float | Sequence[float] | Float[np.ndarray, "..."]

# How many units in the last place an identity may miss by: a few for each of the hundreds of operations on either
# side, with room for one ill-conditioned step. It is 2e-13 in float64, 1e-4 in float32; what is wrong misses by 1e-2.
ROUNDING_FACTOR = 1000

# A law is refuted when it misses by this many tolerances: wrong by more than rounding could ever explain.
REFUTATION_MARGIN = 10.0


def rounding(dtype: Any, tolerance: float | None = None) -> float:
    r"""The tolerance $1000\,\varepsilon$ of identities computed in a floating type, unless one is given."""
    return ROUNDING_FACTOR * float(jnp.finfo(dtype).eps) if tolerance is None else float(tolerance)


@dataclasses.dataclass(frozen=True)
class Verdict:
    r"""How well one law holds: it does when $\text{error} \le \text{tolerance}$.

    - `name`, `statement`: what is claimed, in words and as a formula in plain text.
    - `error`: the worst violation over all samples. Where the law equates vectors it is relative to `scale`,
      $\max |l - r| / \text{scale}$.
    - `scale`: the size of what is compared.
    - `tolerance`: from the floating type (`rounding`), unless the caller knows better.
    - `vacuous`: whether the law could not have failed: a constant map, an element that moves no sample.
    - `detail`: where the worst violation was seen.

    A law that fails has failed, vacuous or not (NaN fails). One that holds vacuously has neither passed nor failed.
    """

    name: str
    statement: str
    error: float
    scale: float
    tolerance: float
    vacuous: bool = False
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Whether the error exceeds the tolerance, or is not a number."""
        return not self.error <= self.tolerance

    @property
    def passed(self) -> bool:
        """Whether the law holds, and could have failed."""
        return not self.failed and not self.vacuous

    @property
    def mark(self) -> str:
        """`pass`, `FAIL` or `vacuous`."""
        return "FAIL" if self.failed else "vacuous" if self.vacuous else "pass"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON understands it; numbers that are not finite, which JSON lacks, become `None`."""
        fields = dataclasses.asdict(self) | {"passed": self.passed, "failed": self.failed}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()}

    def __str__(self) -> str:
        return str(VerdictTable((self,)))


class VerdictTable(tuple[Verdict, ...]):
    """Verdicts in a row, `VerdictTable(verdicts)`: a tuple that prints as a table and knows the exit code of a program.

    Tables add. A table passes when nothing in it failed. Laws that hold vacuously do not fail it; they are named below.
    """

    __slots__ = ()

    @property
    def failed(self) -> "VerdictTable":
        """The laws that failed."""
        return VerdictTable(v for v in self if v.failed)

    @property
    def vacuous(self) -> "VerdictTable":
        """The laws that hold, and could not have failed."""
        return VerdictTable(v for v in self if v.vacuous and not v.failed)

    @property
    def passed(self) -> bool:
        """Whether no law failed."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0 if no law failed, 1 otherwise."""
        return 0 if self.passed else 1

    @property
    def worst(self) -> Verdict:
        """The verdict with the most tolerances of error, among those that are not vacuous if there are any."""
        telling = [v for v in self if v.failed or not v.vacuous] or list(self)
        if not telling:
            raise ValueError("An empty VerdictTable has no worst verdict: no law was asked, or no element was given.")
        return max(telling, key=_severity)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary for each verdict, for JSON."""
        return [v.to_dict() for v in self]

    def __add__(self, other: Iterable[Verdict]) -> "VerdictTable":  # type: ignore[override]
        return VerdictTable((*self, *other))

    def __str__(self) -> str:
        if not self:
            return "no laws were asked"
        rows = [("", "law", "statement", "error", "tolerance")]
        rows += [(v.mark, v.name, v.statement, f"{v.error:.1e}", f"{v.tolerance:.1e}") for v in self]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"FAIL: {v.name}, {v.detail}" for v in self.failed if v.detail]
        if self.vacuous:
            lines.append("vacuous (these could not have failed): " + ", ".join(v.name for v in self.vacuous))
        return "\n".join(lines)


def _severity(verdict: Verdict) -> float:
    ratio = verdict.error / verdict.tolerance if verdict.tolerance > 0 else verdict.error * math.inf
    return math.inf if math.isnan(ratio) and verdict.failed else 0.0 if math.isnan(ratio) else ratio


def refuted(verdict: Verdict) -> Verdict:
    r"""The opposite claim: that the law of `verdict` is false, by a margin of ten tolerances.

    A check that must fail, for whoever wants to know that the check can: the wrong group has to be rejected. Its error
    is $\text{tolerance} / \text{error}$ of the law, which ought to be at most 1/10.
    """
    ratio = math.inf if verdict.error <= 0 else verdict.tolerance / verdict.error
    return Verdict(f"{verdict.name}, refuted", f"not: {verdict.statement}", ratio, verdict.scale, 1 / REFUTATION_MARGIN)


def equality(
    name: str,
    statement: str,
    gaps: Samples,
    scales: Samples,
    tolerance: float,
    *,
    vacuous: bool = False,
    detail: str = "",
) -> Verdict:
    r"""The verdict on $l_i = r_i$ from the norms $|l_i - r_i|$ and from what each is to be measured against.

    No samples make a vacuous law; a scale of zero leaves the error absolute.
    """
    gaps, scales = (np.asarray(a, np.float64).reshape(-1) for a in (gaps, scales))
    if not gaps.size:
        return Verdict(name, statement, 0.0, 0.0, tolerance, True, detail)
    errors = gaps / np.where(scales > 0, scales, 1.0)
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    return Verdict(name, statement, float(errors[worst]), float(scales[worst]), tolerance, bool(vacuous), detail)

"""How much noise, and how strong an attack, does it take to mislead the classifier?

The default classifier, and a plain convolutional network with as many weights, trained on the same rotated digits by the same
loop; then their accuracy

- under Gaussian noise,
- under projected gradient descent through the whole solver, in L_inf and in L_2, with several random restarts and the better of
  two step sizes for each image (white box, untargeted, on the cross-entropy),
- and under the controls that expose masked gradients: the attack that was made for the other network (transfer), and a random
  search for squares that asks for nothing but the logits (L_inf; after Andriushchenko et al., *Square attack*, ECCV 2020).

Where a control does better than the gradient, the gradient is masked, and `worst` (every attack together) is what counts.
Images that are wrong without an attack count as wrong. Pixels stay within [0, 1].

    python benchmarks/robustness.py             # writes results/robustness.json and results/robustness.png
"""

import argparse
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from _digits import digits, trained
from _machine import machine

from equivax.tasks import Logits, accuracy, count_parameters

RESULTS = Path(__file__).parent / "results"
PAIR = ("ours", "plain")
NOISE = (0.0, 0.1, 0.2, 0.3, 0.5)
RADII = {"linf": (0.02, 0.05, 0.1), "l2": (0.25, 0.5, 1.0)}


def cross_entropy(model, x, label):
    return -jax.nn.log_softmax(model(x))[label]


def unit(g, norm):
    """The steepest ascent of length one in a norm."""
    return jnp.sign(g) if norm == "linf" else g / (jnp.linalg.norm(g) + 1e-12)


def onto(d, norm, radius):
    """The nearest perturbation within the radius."""
    if norm == "linf":
        return jnp.clip(d, -radius, radius)
    return d * jnp.minimum(1, radius / (jnp.linalg.norm(d) + 1e-12))


@eqx.filter_jit
def ascend(model, images, labels, starts, norm, radius, size):
    """One step of projected gradient ascent from the perturbations `starts`; the images stay within [0, 1]."""

    def one(x, label, d):
        g = jax.grad(lambda e: cross_entropy(model, x + e, label))(d)
        d = onto(d + size * unit(g, norm), norm, radius)
        return jnp.clip(x + d, 0, 1) - x

    return jax.vmap(one)(images, labels, starts)


def random_starts(key, images, norm, radius):
    shape = images.shape
    if norm == "linf":
        d = jax.random.uniform(key, shape, minval=-radius, maxval=radius)
    else:
        d = jax.random.normal(key, shape)
        d = radius * d / jnp.linalg.norm(d, axis=(1, 2), keepdims=True)
    return jnp.clip(images + d, 0, 1) - images


class Attacked:
    """A network, its logits, and which images it has been misled on."""

    def __init__(self, model, images, labels):
        self.model, self.images, self.labels = model, images, labels
        self.logits = Logits(model, batch=len(images))

    def right(self, images):
        """Which of the images are classified as their labels say."""
        return self.logits(self.model, np.asarray(images)).argmax(1) == self.labels

    def margins(self, images):
        """The logit of the label less the largest of the others: negative where the network is misled."""
        z = self.logits(self.model, np.asarray(images))
        own = z[np.arange(len(z)), self.labels]
        z[np.arange(len(z)), self.labels] = -np.inf
        return own - z.max(1)

    def gradient_attack(self, norm, radius, steps, restarts, key):
        """Images on which the network was misled least: for each, the worst over restarts and step sizes."""
        x = jnp.asarray(self.images)
        best, worst = x, self.margins(x)
        for restart in range(restarts):
            for factor in (1.0, 4.0):
                d = random_starts(jax.random.fold_in(key, restart), x, norm, radius)
                # One size for the whole way, a half and then an eighth of it at the end.
                for i in range(steps):
                    size = radius * factor / steps * (1 if i < steps // 2 else 0.5 if i < 3 * steps // 4 else 0.125)
                    d = ascend(self.model, x, self.labels, d, norm, jnp.float32(radius), jnp.float32(size))
                found = self.margins(x + d)
                better = found < worst
                best = jnp.where(jnp.asarray(better)[:, None, None], x + d, best)
                worst = np.where(better, found, worst)
        return np.asarray(best)

    def square_attack(self, radius, queries, seed):
        """Random squares of random sign, kept where they lower the margin; their sides shrink as queries are spent."""
        rng = np.random.default_rng(seed)
        n, side, _ = self.images.shape
        # Stripes to begin with.
        d = radius * rng.choice([-1.0, 1.0], (n, 1, side)).astype(np.float32) * np.ones((1, side, 1), np.float32)
        best = np.clip(self.images + d, 0, 1)
        worst = self.margins(best)
        for q in range(queries):
            h = max(1, round(side * np.sqrt(0.3 * 0.5 ** (6 * q / queries))))
            trial = best.copy()
            for i in range(n):
                r, c = rng.integers(0, side - h + 1, 2)
                patch = np.s_[i, r : r + h, c : c + h]
                trial[patch] = np.clip(self.images[patch] + radius * rng.choice([-1.0, 1.0]), 0, 1)
            found = self.margins(trial)
            better = found < worst
            best[better], worst = trial[better], np.minimum(worst, found)
        return best


def draw(rows: list[dict], noise: list[dict], where: Path) -> None:
    """Three panels: noise, L_inf, L_2; of the attacks every one, and all together."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained", sharey=True)
    for name, colour in zip(PAIR, ("C0", "C3"), strict=True):
        mine = [r for r in noise if r["model"] == name]
        axes[0].plot([r["sigma"] for r in mine], [100 * r["accuracy"] for r in mine], "o-", color=colour, label=name)
        for panel, norm in zip(axes[1:], RADII, strict=True):
            for attack, line in (("worst", "o-"), ("gradient", "--"), ("transfer", ":"), ("squares", "-.")):
                chosen = [r for r in rows if (r["model"], r["norm"]) == (name, norm) and attack in r]
                radii, found = [r["radius"] for r in chosen], [100 * r[attack] for r in chosen]
                if chosen:
                    panel.plot(
                        [0, *radii], [100 * mine[0]["accuracy"], *found], line, color=colour, label=f"{name}, {attack}"
                    )
    for panel, label in zip(axes, ("sigma of Gaussian noise", "L_inf radius", "L_2 radius"), strict=True):
        panel.set(xlabel=label, ylim=(-2, 102))
        panel.grid(alpha=0.25)
        panel.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("accuracy, %")
    figure.savefig(where, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-images", type=int, default=3_000)
    parser.add_argument("--steps", type=int, nargs=2, default=[460, 460], help="training steps of the two networks")
    parser.add_argument("--pixels", type=int, default=28, choices=(14, 28), help="14: averages over 2 x 2 pixels")
    parser.add_argument("--turned", action="store_true", help="turn the images of the plain network anew at each step")
    parser.add_argument("--test-images", type=int, default=500)
    parser.add_argument("--attack-steps", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    args = parser.parse_args()
    data = digits(5_000, args.pixels)
    images, labels = data.test_images[: args.test_images], data.test_labels[: args.test_images]
    networks, about = {}, {}
    for name, steps in zip(PAIR, args.steps, strict=True):
        kind = "plain, turned" if args.turned and name == "plain" else name
        model, seconds = trained(kind, data, args.train_images, steps, args.folder)
        networks[name] = Attacked(model, images, labels)
        clean = accuracy(networks[name].logits(model, data.test_images), data.test_labels)
        about[name] = {
            "kind": kind,
            "parameters": count_parameters(model),
            "accuracy_5000": clean,
            "steps": steps,
            "seconds": seconds,
        }
        print(name, about[name], flush=True)
    rng = np.random.default_rng(0)
    noise, rows = [], []
    for sigma in NOISE:
        noisy = (images + sigma * rng.standard_normal(images.shape)).astype(np.float32)
        for name, network in networks.items():
            noise.append({"model": name, "sigma": sigma, "accuracy": float(network.right(noisy).mean())})
            print(noise[-1], flush=True)
    document = {
        "question": "How much noise, and how strong an attack, does it take to mislead the classifier?",
        "command": f"python benchmarks/robustness.py --train-images {args.train_images} "
        f"--steps {args.steps[0]} {args.steps[1]} --pixels {args.pixels} --test-images {args.test_images} "
        f"--attack-steps {args.attack_steps} --restarts {args.restarts} --queries {args.queries}"
        + (" --turned" if args.turned else ""),
        "machine": machine("jax", "equinox", "optax", "numpy"),
        "note": "seconds were taken on one core that was shared with other work: they say nothing about speed",
        "models": about,
        "noise": noise,
        "attacks": rows,
    }
    for norm, radii in RADII.items():
        for radius in radii:
            key = jax.random.key(0)
            found = {
                name: network.gradient_attack(norm, radius, args.attack_steps, args.restarts, key)
                for name, network in networks.items()
            }
            for name, other in zip(PAIR, PAIR[::-1], strict=True):
                network = networks[name]
                right = {"gradient": network.right(found[name]), "transfer": network.right(found[other])}
                if norm == "linf":
                    right["squares"] = network.right(network.square_attack(radius, args.queries, 0))
                together = np.all([network.right(images), *right.values()], axis=0)
                row = {"model": name, "norm": norm, "radius": radius, "worst": float(together.mean())}
                rows.append(row | {attack: float(r.mean()) for attack, r in right.items()})
                print(rows[-1], flush=True)
            (RESULTS / "robustness.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(rows, noise, RESULTS / "robustness.png")


if __name__ == "__main__":
    main()

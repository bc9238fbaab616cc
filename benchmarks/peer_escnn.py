"""How far does a small escnn network get on the same digits, in the same time, on the same machine?

Needs an environment of its own with `torch`, `escnn` and `numpy` (escnn pulls in packages that need a Fortran compiler),
and the digits that `python benchmarks/rotated_mnist.py --export digits.npz` writes. Prints and saves accuracy after each
epoch with the seconds of training so far:

    python benchmarks/peer_escnn.py digits.npz --epochs 8

`time_to_accuracy.py` runs it with other sizes and settings, which are the options here.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from escnn import gspaces, nn

# After which convolutions there is antialiased pooling by 2: early pooling makes the wide kernels after it cheap.
POOLED = {"late": (1, 3), "early": (0, 2)}


class SmallCN(torch.nn.Module):
    """Regular fields of C_n: six convolutions with kernels 7 and 5, antialiased pooling, then a small perceptron."""

    def __init__(self, n=8, copies=(4, 6, 6, 8, 8, 8), pooled="late", dropout=0.0):
        super().__init__()
        plane = gspaces.rot2dOnR2(n)
        self.input = nn.FieldType(plane, [plane.trivial_repr])
        current, layers, last = self.input, [], len(copies) - 1
        for i, count in enumerate(copies):
            after = nn.FieldType(plane, count * [plane.regular_repr])
            kernel, padding = 5 if i else 7, 1 if i in (0, last) else 2
            layers += [nn.R2Conv(current, after, kernel, padding=padding, bias=False), nn.InnerBatchNorm(after)]
            layers += [nn.ReLU(after, inplace=True)]
            if i in POOLED[pooled]:
                layers.append(nn.PointwiseAvgPoolAntialiased(after, sigma=0.66, stride=2))
            if i == last:
                layers.append(nn.PointwiseAvgPoolAntialiased(after, sigma=0.66, stride=1, padding=0))
            current = after
        layers.append(nn.GroupPooling(current))
        self.body = nn.SequentialModule(*layers)
        with torch.no_grad():
            shape = self.body(nn.GeometricTensor(torch.zeros(1, 1, 29, 29), self.input)).tensor.shape
        features = int(np.prod(shape[1:]))
        self.pool = torch.nn.AdaptiveAvgPool2d(1) if features > copies[-1] else torch.nn.Identity()
        self.head = torch.nn.Sequential(
            torch.nn.Dropout(dropout),
            torch.nn.Linear(copies[-1], 64),
            torch.nn.BatchNorm1d(64),
            torch.nn.ELU(),
            torch.nn.Linear(64, 10),
        )

    def forward(self, images):
        """Logits of a batch of images, padded to 29 x 29 so that pooling keeps the centre."""
        u = self.body(nn.GeometricTensor(torch.nn.functional.pad(images, (0, 1, 0, 1)), self.input)).tensor
        return self.head(self.pool(u).flatten(1))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--n", type=int, default=8, help="the group is C_n")
    parser.add_argument("--copies", type=int, nargs=6, default=[4, 6, 6, 8, 8, 8], help="of the regular field")
    parser.add_argument("--pooled", choices=POOLED, default="late")
    parser.add_argument("--dropout", type=float, default=0.0, help="of invariants, before the perceptron")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-2, help="the largest, of a one-cycle schedule")
    parser.add_argument("--rise", type=float, default=0.3, help="the part of the steps in which the rate rises")
    parser.add_argument("--decay", type=float, default=1e-5, help="of weights, by Adam")
    parser.add_argument("--smoothing", type=float, default=0.0, help="of labels")
    parser.add_argument("--average", type=float, default=0.0, help="decay of an average of the weights; 0: none")
    parser.add_argument("--channels-last", action="store_true", help="how images and filters lie in memory")
    parser.add_argument("--train-images", type=int, default=10_000)
    parser.add_argument(
        "--between", type=int, default=10_000, help="test images after each epoch but the last; 0: none"
    )
    parser.add_argument("--on", choices=("test", "validation"), default="test", help="what is measured at the end")
    parser.add_argument("--test-images", type=int, default=50_000)
    parser.add_argument("--steps", type=int, help="stop after so many steps, to time them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peer_escnn.json")
    return parser.parse_args()


def main():
    args = options()
    torch.manual_seed(args.seed)
    with np.load(args.digits) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    images, labels = arrays["train_images"][: args.train_images, None], arrays["train_labels"].long()
    tests = arrays[f"{args.on}_images"][: args.test_images, None]
    truths = arrays[f"{args.on}_labels"][: args.test_images].long()
    begun = time.perf_counter()
    model = SmallCN(args.n, args.copies, args.pooled, args.dropout).to(memory_format=layout)
    optimiser = torch.optim.Adam(model.parameters(), weight_decay=args.decay)
    steps = len(images) // args.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.rate, total_steps=steps * args.epochs, pct_start=args.rise
    )
    weights = {name for name, _ in model.named_parameters()}
    live = {k: v for k, v in model.state_dict().items() if k in weights or "running_" in k}
    averages = {k: v.clone() for k, v in live.items()}
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    built, trained, history = time.perf_counter() - begun, 0.0, []
    print(f"{parameters} parameters, built in {built:.1f} s")
    for epoch in range(args.epochs):
        begun = time.perf_counter()
        model.train()
        order = torch.randperm(len(images))
        for i in range(steps):
            batch = order[i * args.batch : (i + 1) * args.batch]
            called = model(images[batch].contiguous(memory_format=layout))
            loss = torch.nn.functional.cross_entropy(called, labels[batch], label_smoothing=args.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if args.average:  # a young average forgets faster
                keep = min(args.average, (1 + epoch * steps + i) / (10 + epoch * steps + i))
                torch._foreach_lerp_(list(averages.values()), list(live.values()), 1 - keep)
            if args.steps and i + 1 == args.steps:
                print(f"{1e3 * (time.perf_counter() - begun) / args.steps:.1f} ms a step, {args.steps} steps")
                return
        trained += time.perf_counter() - begun
        last = epoch == args.epochs - 1
        part = len(tests) if last else min(args.between, len(tests))
        if not part:
            continue
        if last and args.average:
            model.load_state_dict(averages, strict=False)
        model.eval()
        with torch.no_grad():  # a part of the images between epochs, all of them at the end
            called = torch.cat([model(tests[j : min(j + 500, part)]).argmax(1) for j in range(0, part, 500)])
        accuracy = float((called == truths[:part]).double().mean())
        history.append(
            {
                "epoch": epoch + 1,
                "seconds_training": trained,
                f"{args.on}_accuracy": accuracy,
                f"{args.on}_images": part,
            }
        )
        print(f"epoch {epoch + 1}: {accuracy:.4f} on {part} images after {trained:.0f} s of training", flush=True)
    result = {
        "question": "How far does a small escnn network get on the same digits in the same time?",
        "command": f"python benchmarks/peer_escnn.py digits.npz --epochs {args.epochs}",
        "parameters": parameters,
        "seconds_to_build": built,
        "history": history,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

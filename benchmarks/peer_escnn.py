"""How far does a small escnn network get on the same digits, in the same time, on the same machine?

Needs an environment of its own with `torch`, `escnn` and `numpy` (escnn pulls in packages that need a Fortran compiler),
and the digits that `python benchmarks/rotated_mnist.py --export digits.npz` writes. Prints and saves accuracy after each
epoch with the seconds of training so far:

    python benchmarks/peer_escnn.py digits.npz --epochs 8
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from escnn import gspaces, nn


class SmallC8(torch.nn.Module):
    """Regular fields of C8: 4-6-6-8-8-8 copies, kernels 7 and 5, antialiased pooling, then a small perceptron."""

    def __init__(self):
        super().__init__()
        plane = gspaces.rot2dOnR2(8)
        self.input = nn.FieldType(plane, [plane.trivial_repr])
        current, layers = self.input, []
        for i, (copies, kernel) in enumerate([(4, 7), (6, 5), (6, 5), (8, 5), (8, 5), (8, 5)]):
            after = nn.FieldType(plane, copies * [plane.regular_repr])
            padding = 1 if i in (0, 5) else 2
            layers += [nn.R2Conv(current, after, kernel, padding=padding, bias=False), nn.InnerBatchNorm(after)]
            layers += [nn.ReLU(after, inplace=True)]
            if i in (1, 3):
                layers.append(nn.PointwiseAvgPoolAntialiased(after, sigma=0.66, stride=2))
            if i == 5:
                layers.append(nn.PointwiseAvgPoolAntialiased(after, sigma=0.66, stride=1, padding=0))
            current = after
        layers.append(nn.GroupPooling(current))
        self.body = nn.SequentialModule(*layers)
        with torch.no_grad():
            shape = self.body(nn.GeometricTensor(torch.zeros(1, 1, 29, 29), self.input)).tensor.shape
        features = int(np.prod(shape[1:]))
        self.pool = torch.nn.AdaptiveAvgPool2d(1) if features > 8 else torch.nn.Identity()
        self.head = torch.nn.Sequential(
            torch.nn.Linear(8, 64), torch.nn.BatchNorm1d(64), torch.nn.ELU(), torch.nn.Linear(64, 10)
        )

    def forward(self, images):
        """Logits of a batch of images, padded to 29 x 29 so that pooling keeps the centre."""
        u = self.body(nn.GeometricTensor(torch.nn.functional.pad(images, (0, 1, 0, 1)), self.input)).tensor
        return self.head(self.pool(u).flatten(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peer_escnn.json")
    args = parser.parse_args()
    torch.manual_seed(0)
    with np.load(args.digits) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    images, labels = arrays["train_images"][:, None], arrays["train_labels"].long()
    tests, truths = arrays["test_images"][:, None], arrays["test_labels"].long()
    begun = time.perf_counter()
    model = SmallC8()
    optimiser = torch.optim.Adam(model.parameters(), weight_decay=1e-5)
    steps = len(images) // args.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=steps * args.epochs)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    built, trained, history = time.perf_counter() - begun, 0.0, []
    print(f"{parameters} parameters, built in {built:.1f} s")
    for epoch in range(args.epochs):
        begun = time.perf_counter()
        model.train()
        order = torch.randperm(len(images))
        for i in range(steps):
            batch = order[i * args.batch : (i + 1) * args.batch]
            loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        trained += time.perf_counter() - begun
        model.eval()
        with torch.no_grad():  # the first 10,000 test images between epochs, all of them at the end
            part = len(tests) if epoch == args.epochs - 1 else 10_000
            called = torch.cat([model(tests[j : j + 500]).argmax(1) for j in range(0, part, 500)])
        accuracy = float((called == truths[:part]).double().mean())
        history.append(
            {"epoch": epoch + 1, "seconds_training": trained, "test_accuracy": accuracy, "test_images": part}
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

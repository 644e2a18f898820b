#!/usr/bin/env python3
"""Trains two small transformers and writes them as ONNX files with their data.

Usage: python3 examples/transformers.py OUT        # pip install torch onnx scikit-learn

OUT/vit.onnx     two blocks on the UCI digits: 16 tokens of 2 x 2 pixels, width 16, two heads
OUT/gpt.onnx     two causal blocks on number sequences: 8 tokens out of 16, width 16, two heads; the next token
OUT/*.npz        x_train, y_train, x_test, y_test of each

Then, for instance:

    splitbench import OUT/vit.onnx --calibrate OUT/vit.npz --test OUT/vit.npz --scale 1/16 -o models/vit
    splitbench import OUT/gpt.onnx --calibrate OUT/gpt.npz --test OUT/gpt.npz -o models/gpt
    splitbench list --model models/vit
"""
import pathlib
import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

WIDTH = 16
HEADS = 2
BLOCKS = 2
TOKENS = 16
CONTEXT = 8


class Attention(nn.Module):
    def __init__(self, is_causal):
        super().__init__()
        self.queries, self.keys, self.values, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.is_causal = is_causal

    def forward(self, x):
        count = x.shape[1]
        heads = lambda linear: linear(x).reshape(-1, count, HEADS, WIDTH // HEADS).transpose(1, 2)
        scores = heads(self.queries) @ heads(self.keys).transpose(2, 3) * (WIDTH // HEADS) ** -0.5
        if self.is_causal:
            scores = scores + torch.full((count, count), float("-inf")).triu(1)
        mixed = scores.softmax(-1) @ heads(self.values)
        return self.out(mixed.transpose(1, 2).reshape(-1, count, WIDTH))


class Block(nn.Module):
    def __init__(self, is_causal):
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(is_causal)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.before_attention(x))
        return x + self.mlp(self.before_mlp(x))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 2, stride=2)
        self.places = nn.Parameter(torch.randn(TOKENS, WIDTH) * 0.1)
        self.blocks = nn.Sequential(*(Block(False) for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(tokens)).mean(1))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Parameter(torch.randn(CONTEXT, WIDTH) * 0.1)
        self.blocks = nn.Sequential(*(Block(True) for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TOKENS)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.words(x) + self.places))[:, -1])


def digits():
    data = load_digits()
    images = data.images.astype(np.uint8)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    split = lambda all: (all[order[:1347]], all[order[1347:]])
    return split(images), split(data.target)


def sequences():
    """Numbers that rise by the same step, and the next of each."""
    rng = np.random.default_rng(0)
    first, step = rng.integers(0, TOKENS, (2, 1500, 1))
    numbers = (first + step * np.arange(CONTEXT + 1)) % TOKENS
    # One of the first two tokens is another, as often as not: the sequence has to be looked at.
    changed = rng.random(1500) < 0.5
    numbers[changed, 0] = rng.integers(0, TOKENS, changed.sum())
    split = lambda all: (all[:1000], all[1000:])
    return split(numbers[:, :-1]), split(numbers[:, -1])


def train(model, x, y, epochs):
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[part]), y[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        steps.step()


def make(folder, name, model, data, as_input, epochs):
    (x_train, x_test), (y_train, y_test) = data
    labels = [torch.tensor(y) for y in (y_train, y_test)]
    train(model, as_input(x_train), labels[0], epochs)
    model.eval()
    with torch.no_grad():
        right = (model(as_input(x_test)).argmax(1) == labels[1]).float().mean()
    print(f"{name}: {100 * right:.1f} % of {len(y_test)} test inputs")
    np.savez(folder / f"{name}.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    torch.onnx.export(model, (as_input(x_test[:1]),), str(folder / f"{name}.onnx"), opset_version=17, input_names=["x"],
                      output_names=["logits"], dynamo=False)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    make(folder, "vit", Vit(), digits(), lambda x: torch.tensor(x / 16.0, dtype=torch.float32), 60)
    make(folder, "gpt", Gpt(), sequences(), torch.tensor, 60)


if __name__ == "__main__":
    main()

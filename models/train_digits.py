"""Trains the three digit networks that splitbench ships, and writes them as model folders.

    pip install numpy scikit-learn
    python3 models/train_digits.py               # writes models/digits-mlp, -cnn and -deep
    python3 models/train_digits.py --validate    # five-fold accuracy on the training images alone

The data are the UCI handwritten digits (8x8 pixels, 0..=16), split by `digits-split.json`. The
test images serve two purposes only: they are copied into the folders, and they give the reported
accuracies. The training images are copied too: whoever attacks a split asks with images of their kind.

A network first trains in plain float. For the last third of the epochs it meets what homomorphic
evaluation does to it:

- each ReLU output is clipped to 0..=clip and rounded to 4 bits; gradients pass straight through
  the rounding (the straight-through estimator of Bengio, Leonard and Courville, 2013);
- each linear layer's output gets Gaussian noise, sigma = NOISE * (max - min over batch and layer).

Shapes: images [batch, channels, height, width]; dense weights [out, in]; convolution weights
[out_channels, in_channels, kernel_height, kernel_width]. All of it is float32.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # One thread fixes the order of every sum.

import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

MODELS = Path(__file__).parent
SEED = 1998
PIXEL_MAX = 16
LARGEST_LEVEL = 15  # of 4 bits
NOISE = 0.012
NOISE_SEEDS = 10
EPOCHS = 600
FLOAT_EPOCHS = EPOCHS * 2 // 3
BATCH = 32
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.05
MAX_SHIFT = 0.5  # pixels, up, down, left or right
MAX_ZOOM = 0.1
FOLDS = 5


class Dense:
    """outputs = inputs @ weights.T + bias."""

    op = "dense"

    def __init__(self, name, shape, random):
        self.name = name
        sigma = np.sqrt(2 / np.prod(shape[1:]))
        self.weights = random.normal(0, sigma, shape).astype(np.float32)
        self.bias = np.zeros(shape[0], np.float32)

    def forward(self, inputs):
        """Returns [..., out] for inputs [..., in]."""
        self.inputs = inputs
        return inputs @ self.weights.reshape(len(self.weights), -1).T + self.bias

    def backward(self, gradient):
        """Keeps the gradients of weights and bias; returns the gradient of the inputs."""
        outputs = gradient.reshape(-1, len(self.weights))
        weights = outputs.T @ self.inputs.reshape(len(outputs), -1)
        self.gradients = [weights.reshape(self.weights.shape), outputs.sum(axis=0)]
        return gradient @ self.weights.reshape(len(self.weights), -1)


class Conv2d(Dense):
    """A convolution: a dense layer over all patches. All four sides get `padding` zeros."""

    op = "conv2d"

    def __init__(self, name, shape, stride, padding, random):
        super().__init__(name, shape, random)
        self.stride = stride
        self.padding = padding

    def forward(self, inputs):
        inputs = np.pad(inputs, [(0, 0), (0, 0), (self.padding,) * 2, (self.padding,) * 2])
        self.padded_shape = inputs.shape
        patches = np.lib.stride_tricks.sliding_window_view(inputs, self.weights.shape[2:], (2, 3))
        patches = patches[:, :, :: self.stride, :: self.stride].transpose(0, 2, 3, 1, 4, 5)
        return super().forward(patches.reshape(*patches.shape[:3], -1)).transpose(0, 3, 1, 2)

    def backward(self, gradient):
        patches = super().backward(gradient.transpose(0, 2, 3, 1))
        patches = patches.reshape(*patches.shape[:3], *self.weights.shape[1:])
        _, height, width, _, kernel_height, kernel_width = patches.shape
        inputs = np.zeros(self.padded_shape, np.float32)
        for y, x in np.ndindex(kernel_height, kernel_width):
            rows = slice(y, y + height * self.stride, self.stride)
            columns = slice(x, x + width * self.stride, self.stride)
            inputs[:, :, rows, columns] += patches[..., y, x].transpose(0, 3, 1, 2)
        inside = slice(self.padding, -self.padding or None)
        return inputs[:, :, inside, inside]


class AveragePool:
    """The mean of each `size` x `size` window; windows do not overlap and fill the image."""

    op = "average_pool"

    def __init__(self, name, size):
        self.name = name
        self.size = size

    def forward(self, inputs):
        batch, channels, height, width = inputs.shape
        rows, columns = height // self.size, width // self.size
        windows = inputs.reshape(batch, channels, rows, self.size, columns, self.size)
        return windows.mean(axis=(3, 5))

    def backward(self, gradient):
        return (gradient / self.size**2).repeat(self.size, axis=2).repeat(self.size, axis=3)


class Relu:
    """max(0, x); once a clip is set, min(clip, max(0, x)) rounded to 4 bits."""

    op = "activation"

    def __init__(self, name):
        self.name = name
        self.clip = None

    def forward(self, inputs):
        self.passes = (inputs > 0) & (inputs < (self.clip or np.inf))
        return quantise(inputs, self.clip) if self.clip else np.maximum(inputs, 0)

    def backward(self, gradient):
        return gradient * self.passes


class Flatten:
    """[batch, channels, height, width] to [batch, channels * height * width], row-major."""

    op = "flatten"
    name = "flatten"

    def forward(self, inputs):
        self.input_shape = inputs.shape
        return inputs.reshape(len(inputs), -1)

    def backward(self, gradient):
        return gradient.reshape(self.input_shape)


def quantise(values, clip):
    """Returns values clipped to 0..=clip and rounded to the 16 levels of 4 bits."""
    step = np.float32(clip / LARGEST_LEVEL)
    return np.rint(np.clip(values, 0, np.float32(clip)) / step) * step


def digits_mlp(random):
    return [
        Dense("fc1", (32, 64), random),
        Relu("relu1"),
        Dense("fc2", (10, 32), random),
    ]


def digits_cnn(random):
    return [
        Conv2d("conv1", (8, 1, 3, 3), 1, 0, random),
        Relu("relu1"),
        Conv2d("conv2", (16, 8, 3, 3), 2, 0, random),
        Relu("relu2"),
        Flatten(),
        Dense("fc", (10, 64), random),
    ]


def digits_deep(random):
    return [
        Conv2d("conv1", (6, 1, 3, 3), 1, 0, random),
        Relu("relu1"),
        AveragePool("pool1", 2),
        Conv2d("conv2", (12, 6, 3, 3), 1, 1, random),
        Relu("relu2"),
        Flatten(),
        Dense("fc1", (32, 108), random),
        Relu("relu3"),
        Dense("fc2", (10, 32), random),
    ]


# name: (layers, input shape without the batch, description)
NETWORKS = {
    "digits-mlp": (digits_mlp, [64], "Two dense layers (64-32-10) for 8x8 handwritten digits."),
    "digits-cnn": (
        digits_cnn,
        [1, 8, 8],
        "Two 3x3 convolutions and a dense layer for 8x8 handwritten digits.",
    ),
    "digits-deep": (
        digits_deep,
        [1, 8, 8],
        "Two 3x3 convolutions, a 2x2 average pool and two dense layers for 8x8 handwritten digits.",
    ),
}


def linear_layers(layers):
    return [layer for layer in layers if isinstance(layer, Dense)]


def forward(layers, values, noise=None):
    """Returns the logits; `noise` is the random generator of the noise, or None for none."""
    for layer in layers:
        values = layer.forward(values)
        if noise and isinstance(layer, Dense):
            sigma = np.float32(NOISE) * (values.max() - values.min())
            values = values + sigma * noise.standard_normal(values.shape, np.float32)
    return values


def set_clips(layers, images):
    """Sets each clip to the one of least mean squared rounding error over the images.

    Candidates are 0.20, 0.22, ..., 1.00 of the largest activation. Layers are settled in order,
    so that each one sees the rounded activations of those before it.
    """
    values = images
    for layer in layers:
        if isinstance(layer, Relu):
            activations = np.maximum(values, 0)
            candidates = activations.max() * np.arange(20, 101, 2) / 100
            errors = [np.square(quantise(values, c) - activations).mean() for c in candidates]
            layer.clip = round(float(candidates[np.argmin(errors)]), 4)
        values = layer.forward(values)


def augment(images, random):
    """Returns each [8, 8] image shifted and zoomed at random, by bilinear interpolation.

    Output row i takes input row j with weight max(0, 1 - |zoom * (i - 3.5) + 3.5 + shift - j|),
    and columns likewise.
    """
    centred = np.arange(8) - 3.5
    zoom = random.uniform(1 - MAX_ZOOM, 1 + MAX_ZOOM, (2, len(images), 1))
    shift = random.uniform(-MAX_SHIFT, MAX_SHIFT, (2, len(images), 1))
    sources = zoom * centred + shift
    rows, columns = np.maximum(0, 1 - np.abs(sources[..., None] - centred)).astype(np.float32)
    return rows @ images @ columns.transpose(0, 2, 1)


def loss_gradient(logits, labels):
    """Returns the gradient of the mean cross-entropy against smoothed labels."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    targets = np.eye(10, dtype=np.float32)[labels] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 10
    return (probabilities - targets) / np.float32(len(labels))


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019); biases do not decay."""

    def __init__(self, layers):
        self.layers = linear_layers(layers)
        self.parameters = [array for layer in self.layers for array in (layer.weights, layer.bias)]
        self.means = [np.zeros_like(array) for array in self.parameters]
        self.squares = [np.zeros_like(array) for array in self.parameters]
        self.steps = 0

    def step(self, learning_rate):
        """Moves the parameters, in place, by the gradients that the layers keep."""
        self.steps += 1
        gradients = [array for layer in self.layers for array in layer.gradients]
        states = zip(self.parameters, gradients, self.means, self.squares)
        for parameter, gradient, mean, square in states:
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            unbiased_mean = mean / (1 - 0.9**self.steps)
            unbiased_square = square / (1 - 0.999**self.steps)
            update = unbiased_mean / (np.sqrt(unbiased_square) + 1e-8)
            if parameter.ndim > 1:
                update += WEIGHT_DECAY * parameter
            parameter -= learning_rate * update


def train(name, images, labels):
    """Returns the layers of the named network, trained on images [batch, 8, 8] in 0..=1."""
    random = np.random.default_rng(SEED)
    build, input_shape, _ = NETWORKS[name]
    layers = build(random)
    optimiser = AdamW(layers)
    for epoch in range(EPOCHS):
        quantised = epoch >= FLOAT_EPOCHS
        if quantised:
            set_clips(layers, images.reshape(-1, *input_shape))
        learning_rate = LEARNING_RATE * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
        order = random.permutation(len(images))
        for batch in np.array_split(order, len(images) // BATCH):
            inputs = augment(images[batch], random).reshape(-1, *input_shape)
            logits = forward(layers, inputs, random if quantised else None)
            gradient = loss_gradient(logits, labels[batch])
            for layer in reversed(layers):
                gradient = layer.backward(gradient)
            optimiser.step(learning_rate)
    set_clips(layers, images.reshape(-1, *input_shape))
    return layers


def accuracies(name, layers, images, labels):
    """Returns the plain float accuracy, and those with 4-bit activations and noise, per seed."""
    _, input_shape, _ = NETWORKS[name]
    inputs = images.reshape(-1, *input_shape)
    noisy = [
        np.mean(forward(layers, inputs, np.random.default_rng(seed)).argmax(axis=1) == labels)
        for seed in range(NOISE_SEEDS)
    ]
    plain = [Relu(layer.name) if isinstance(layer, Relu) else layer for layer in layers]
    exact = np.mean(forward(plain, inputs).argmax(axis=1) == labels)
    return exact, noisy


def validate(name, images, labels):
    """Returns both kinds of accuracy on held-out training images, each the mean over the folds."""
    fold_of = np.arange(len(images)) % FOLDS
    exact, noisy = [], []
    for fold in range(FOLDS):
        kept, held_out = fold_of != fold, fold_of == fold
        layers = train(name, images[kept], labels[kept])
        fold_exact, fold_noisy = accuracies(name, layers, images[held_out], labels[held_out])
        exact.append(fold_exact)
        noisy.append(fold_noisy)
    return np.mean(exact), np.mean(noisy, axis=0)


def output_ranges(layers, values):
    """Returns {layer name: [channels, 2]}: least and greatest output over images and positions."""
    ranges = {}
    for layer in layers:
        values = layer.forward(values)
        if isinstance(layer, Dense):
            axes = (0, *range(2, values.ndim))
            ranges[layer.name] = np.stack([values.min(axis=axes), values.max(axis=axes)], axis=1)
    return ranges


def describe(layer, weight_bits):
    """Returns the entry of one layer in model.json."""
    entry = {"name": layer.name, "op": layer.op}
    if isinstance(layer, Relu):
        scale = float(f"{layer.clip / LARGEST_LEVEL:.7g}")
        output = {"scale": scale, "low": 0, "high": LARGEST_LEVEL}
        return entry | {"function": "relu", "output": output}
    if isinstance(layer, AveragePool):
        size = [layer.size] * 2
        return entry | {"kernel": size, "stride": size, "padding": [0] * 4}
    if isinstance(layer, Flatten):
        return entry
    entry |= {"weights": f"{layer.name}.weights", "bias": f"{layer.name}.bias"}
    if isinstance(layer, Conv2d):
        entry |= {"stride": [layer.stride] * 2, "padding": [layer.padding] * 4}
    return entry | {"weight_bits": weight_bits, "range": f"{layer.name}.range"}


def json_text(value, indent=""):
    """Returns JSON in which whatever fits into a line of 100 characters stands on one line."""
    line = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(indent) + len(line) <= 100:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {json_text(item, inner)}" for key, item in value.items()]
    else:
        items = [json_text(item, inner) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = ",\n".join(inner + item for item in items)
    return f"{opening}\n{body}\n{indent}{closing}"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_npy(path, array):
    """Writes an array in version 1.0 of the NumPy format."""
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version=(1, 0))


def write_training(folder, pixels, labels):
    """Writes training-images.npy, training-labels.npy and training.json, which names them."""
    save_npy(folder / "training-images.npy", pixels)
    save_npy(folder / "training-labels.npy", labels)
    names = {
        "images": "training-images.npy",
        "images_sha256": sha256(folder / "training-images.npy"),
        "labels": "training-labels.npy",
        "labels_sha256": sha256(folder / "training-labels.npy"),
    }
    (folder / "training.json").write_text(json.dumps(names, indent=2) + "\n")


def write_folder(name, layers, float_accuracy, train_images, test_pixels, test_labels):
    """Writes model.json, weights.bin, test-images.npy and test-labels.npy."""
    _, input_shape, description = NETWORKS[name]
    folder = MODELS / name
    folder.mkdir(exist_ok=True)

    ranges = output_ranges(layers, train_images.reshape(-1, *input_shape))
    tensors, content = [], b""
    for layer in linear_layers(layers):
        parts = {"weights": layer.weights, "bias": layer.bias, "range": ranges[layer.name]}
        for part, array in parts.items():
            tensor = {"name": f"{layer.name}.{part}", "shape": array.shape, "offset": len(content)}
            tensors.append(tensor)
            content += array.astype("<f4").tobytes()
    (folder / "weights.bin").write_bytes(content)
    save_npy(folder / "test-images.npy", test_pixels)
    save_npy(folder / "test-labels.npy", test_labels)

    model = {
        "format": "splitbench-model",
        "version": 2,
        "name": name,
        "description": description,
        "input": {"shape": input_shape, "max": PIXEL_MAX, "scale": 1 / PIXEL_MAX},
        "layers": [describe(layer, 8 if layer is layers[0] else 6) for layer in layers],
        "weights": {
            "file": "weights.bin",
            "sha256": sha256(folder / "weights.bin"),
            "tensors": tensors,
        },
        "test": {
            "images": "test-images.npy",
            "images_sha256": sha256(folder / "test-images.npy"),
            "labels": "test-labels.npy",
            "labels_sha256": sha256(folder / "test-labels.npy"),
        },
        "float_accuracy": round(float(float_accuracy), 4),
    }
    (folder / "model.json").write_text(json_text(model) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validate", action="store_true", help="five-fold score; write nothing")
    only_validate = parser.parse_args().validate

    digits = load_digits()
    split = json.loads((MODELS / "digits-split.json").read_text())
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    images = pixels.astype(np.float32) / PIXEL_MAX
    train_images, train_labels = images[split["train"]], labels[split["train"]]
    test_images, test_labels = images[split["test"]], labels[split["test"]]

    for name in NETWORKS:
        if only_validate:
            exact, noisy = validate(name, train_images, train_labels)
        else:
            layers = train(name, train_images, train_labels)
            exact, noisy = accuracies(name, layers, test_images, test_labels)
            write_folder(name, layers, exact, train_images, pixels[split["test"]], test_labels)
            write_training(MODELS / name, pixels[split["train"]], train_labels)
        spread = f"mean {np.mean(noisy):.2%}, least {min(noisy):.2%}, greatest {max(noisy):.2%}"
        print(f"{name}: float {exact:.2%}; 4-bit and noise, {NOISE_SEEDS} seeds: {spread}")


if __name__ == "__main__":
    main()

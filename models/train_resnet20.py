"""Trains ResNet-20 for CIFAR-10 with 4-bit activations and noise in the loop, and writes ONNX.

    pip install torch numpy onnx pillow safetensors
    python3 models/train_resnet20.py --data cifar10 --out resnet20.onnx

The network is that of He et al., *Deep Residual Learning for Image Recognition* (2015), section 4.2,
with parameter-free shortcuts (option A). It trains in float first, or starts from `--weights`; then
it meets what homomorphic evaluation does to it:

- weights are integers times a scale per channel, activations integers times a scale per layer; the
  scales are learned with the others (Esser et al., *Learned Step Size Quantization*, 2020);
- each activation's input gets Gaussian noise, as a fraction of the output step: `--noise`;
- the range of each activation's input is held near its clip, by a penalty, because the whole range
  must fit on the torus: what it does not fill makes the noise smaller;
- the float network teaches it (Hinton et al., *Distilling the Knowledge in a Neural Network*, 2015).

The weights that are written are a running mean. Only training images are trained on; the test images
give the accuracies that are printed after each epoch, and choose nothing.

The ONNX file holds QONNX `Quant` nodes: `splitbench import` keeps their integers.

Data: `data_batch_*.bin` and `test_batch.bin` of the "binary version" (gzipped too), or batches as
lossless pictures in `train/`. Shapes: images [batch, channels, height, width].
"""

import argparse
import copy
import gzip
import math
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
WIDTHS = [(16, 1)] * 3 + [(32, 2)] + [(32, 1)] * 2 + [(64, 2)] + [(64, 1)] * 2
BATCH = 128
WEIGHT_DECAY = 5e-4
QUANTISED_WEIGHT_DECAY = 5e-5
MOMENTUM = 0.9
FLOAT_RATE = 0.2
QUANTISED_RATE = 0.01
SHIFT = 4  # pixels
MEAN_DECAY = 0.999  # of the running mean of weights, per step
INPUT_WEIGHT_BITS = 8
OUTPUT_WEIGHT_BITS = 8
# The range that an activation's input may fill without penalty, in clips.
LOW, HIGH = 0.8, 1.5
RANGE_PENALTY = 0.02
NOISE_SAMPLES = 1 << 23


def rounded(value, noise, sigma, scale, low, high):
    """Returns the integers nearest to value / scale plus noise, times the scale."""
    return ((value / scale + noise * sigma).clamp(low, high).round() * scale).to(value.dtype)


def rounded_gradients(gradient, value, noise, sigma, scale, low, high):
    """Returns the gradients by value and by scale, the latter summed to the scale's shape."""
    scaled = value / scale + noise * sigma
    inside = (scaled > low) & (scaled < high)
    of_scale = gradient.float() * torch.where(inside, scaled.round() - scaled, scaled.clamp(low, high))
    axes = list(range(1, scale.dim()))
    of_scale = of_scale.sum(axes, keepdim=True) if axes else of_scale.sum()
    return torch.where(inside, gradient, 0), of_scale


# Each in one pass over memory: activations are large, weights are not.
torch._dynamo.config.recompile_limit = 64
compiled_rounded = torch.compile(rounded, dynamic=False)
compiled_gradients = torch.compile(rounded_gradients, dynamic=False)


class Rounding(torch.autograd.Function):
    """Scaled integers from low to high, with the gradients of Esser et al. (2020), section 2.1."""

    @staticmethod
    def forward(context, value, noise, sigma, scale, low, high):
        context.save_for_backward(value, noise, scale)
        context.rest = (sigma, low, high)
        is_large = scale.dim() == 0
        return (compiled_rounded if is_large else rounded)(value, noise, sigma, scale, low, high)

    @staticmethod
    def backward(context, gradient):
        value, noise, scale = context.saved_tensors
        gradients = compiled_gradients if scale.dim() == 0 else rounded_gradients
        of_value, of_scale = gradients(gradient, value, noise, context.rest[0], scale, *context.rest[1:])
        share = 1 / math.sqrt(value.numel() / scale.numel() * context.rest[2])
        return of_value, None, None, of_scale * share, None, None


class QuantisedWeights(nn.Module):
    """The weights of a layer, as integers of so many bits times a scale per output channel."""

    def __init__(self, weights, bits):
        super().__init__()
        self.high = 2 ** (bits - 1) - 1
        axes = list(range(1, weights.dim()))
        scale = 2 * weights.detach().abs().mean(axes, keepdim=True) / math.sqrt(self.high)
        if bits >= INPUT_WEIGHT_BITS:
            scale = weights.detach().abs().amax(axes, keepdim=True) / self.high
        self.scale = nn.Parameter(scale)

    def forward(self, weights):
        return Rounding.apply(weights, torch.zeros(()), 0.0, self.scale, -self.high, self.high)


class Activation(nn.Module):
    """ReLU; once it is quantised, to so many bits, with noise on its input while training."""

    def __init__(self):
        super().__init__()
        self.scale = None
        self.noise = 0.0
        self.penalty = None
        self.observed = None

    def quantise(self, bits, noise):
        self.high = 2**bits - 1
        self.noise = noise
        self.scale = nn.Parameter(best_scale(self.observed, self.high))

    def forward(self, value):
        if self.scale is None:
            self.observed = value.detach()
            return functional.relu(value, inplace=True)
        if self.training:
            clip = (self.scale * self.high).detach()
            # Found in two steps, so that gradients pass through one picture and not the whole batch.
            pictures = value.permute(0, 2, 3, 1).flatten(1)
            low = pictures[pictures.detach().amin(1).argmin()].min()
            high = pictures[pictures.detach().amax(1).argmax()].max()
            self.penalty = functional.relu(high.float() / clip - HIGH) + functional.relu(-low.float() / clip - LOW)
        noise = noise_like(value) if self.noise > 0 else torch.zeros(())
        return Rounding.apply(value, noise, self.noise, self.scale, 0, self.high)


def best_scale(values, high):
    """Returns the scale with the least mean squared error on values that were seen."""
    values = values.float().flatten()[: 1 << 18]
    scales = values.max() / high * torch.linspace(0.1, 1, 46)
    errors = [((values.clamp(0) - (values / s).clamp(0, high).round() * s) ** 2).mean() for s in scales]
    return scales[int(torch.stack(errors).argmin())].clone()


NOISE = {}


def noise_like(value):
    """Returns Gaussian noise: a random piece of a long draw, which is a hundred times faster."""
    if value.dtype not in NOISE:
        NOISE[value.dtype] = torch.randn(NOISE_SAMPLES).to(value.dtype)
    start = int(torch.randint(NOISE_SAMPLES - value.numel(), ()))
    return NOISE[value.dtype].as_strided(value.shape, value.stride(), start)


class Convolution(nn.Module):
    """A 3x3 convolution and its BatchNorm."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.quantised = None
        self.alive = None

    def quantise(self, bits):
        self.quantised = QuantisedWeights(self.conv.weight, bits)

    def forward(self, value):
        weights = self.conv.weight
        if self.quantised is not None:
            weights = self.quantised(weights)
        value = functional.conv2d(value, weights, None, self.conv.stride, 1)
        return self.norm(value)


class Block(nn.Module):
    """A residual block; where it halves the picture, its shortcut takes every second pixel."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = Convolution(inputs, outputs, stride)
        self.middle = Activation()
        self.second = Convolution(outputs, outputs, 1)
        self.last = Activation()
        self.stride = stride
        self.outputs = outputs

    def forward(self, value):
        through = self.second(self.middle(self.first(value)))
        if self.stride == 2:
            pad = self.outputs // 4
            value = functional.pad(value[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return self.last(through + value)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 16, 1)
        self.start = Activation()
        inputs = [16] + [outputs for outputs, _ in WIDTHS]
        blocks = [Block(i, outputs, stride) for i, (outputs, stride) in zip(inputs, WIDTHS)]
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(64, 10)
        self.quantised_head = None

    def forward(self, value):
        value = self.start(self.stem(value))
        for block in self.blocks:
            value = block(value)
        weights = self.head.weight
        if self.quantised_head is not None:
            weights = self.quantised_head(weights)
        return functional.linear(value.mean((2, 3)), weights, self.head.bias)

    def activations(self):
        return [module for module in self.modules() if isinstance(module, Activation)]

    def quantise(self, bits, weight_bits, noise):
        """Turns to integers, with scales from what the activations saw last."""
        self.stem.quantise(INPUT_WEIGHT_BITS)
        for block in self.blocks:
            block.first.quantise(weight_bits)
            block.second.quantise(weight_bits)
        for activation in self.activations():
            activation.quantise(bits, noise)
        self.quantised_head = QuantisedWeights(self.head.weight, OUTPUT_WEIGHT_BITS)

    def prune(self, pictures):
        """Marks channels of convolutions that are active on none of the pictures.

        BatchNorm divides what they hardly vary by, so that their weights are large for nothing; and
        under encryption every weight multiplies noise.
        """
        # Each convolution with the activation behind it and the one that its shortcut comes from.
        layers = [(self.stem, self.start, None)]
        for block in self.blocks:
            layers += [(block.first, block.middle, None), (block.second, block.last, layers[-1][1])]
        largest = {}

        def observe(activation, inputs, _):
            found = inputs[0].amax((0, 2, 3))
            largest[activation] = torch.maximum(largest.get(activation, found), found)

        hooks = [activation.register_forward_hook(observe) for _, activation, _ in layers]
        with torch.inference_mode():
            self.eval()
            for start in range(0, len(pictures), 500):
                self(normalised(pictures[start : start + 500]))
        for hook in hooks:
            hook.remove()
        for layer, activation, shortcut in layers:
            layer.alive = largest[activation] > activation.scale / 2
            # No shortcut lifts it to the first step.
            layer.resting = -activation.scale * activation.high / 2
            if shortcut is not None:
                layer.resting = -shortcut.scale * shortcut.high
        dead = sum(int((~layer.alive).sum()) for layer, _, _ in layers)
        print(f"{dead} channels are never active and get weights of zero", flush=True)

    def load_akamaster(self, path):
        """Takes weights by the names of github.com/akamaster/pytorch_resnet_cifar10."""
        from safetensors.torch import load_file

        names = {}
        for ours, theirs in self._akamaster_layers():
            names[f"{ours}.conv.weight"] = f"{theirs[0]}.weight"
            for field in ("weight", "bias", "running_mean", "running_var"):
                names[f"{ours}.norm.{field}"] = f"{theirs[1]}.{field}"
        for field in ("weight", "bias"):
            names[f"head.{field}"] = f"linear.{field}"
        stored = {name.removeprefix("module."): t for name, t in load_file(path).items()}
        state = self.state_dict()
        state.update({ours: stored[theirs] for ours, theirs in names.items()})
        self.load_state_dict(state)

    def _akamaster_layers(self):
        yield "stem", ("conv1", "bn1")
        for index in range(len(WIDTHS)):
            theirs = f"layer{index // 3 + 1}.{index % 3}"
            yield f"blocks.{index}.first", (f"{theirs}.conv1", f"{theirs}.bn1")
            yield f"blocks.{index}.second", (f"{theirs}.conv2", f"{theirs}.bn2")


def read_binary(path):
    """Returns the pictures and labels of a file of the binary version."""
    opened = gzip.open(path) if path.suffix == ".gz" else open(path, "rb")
    with opened as file:
        records = np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read_pictures(folder):
    """Returns the pictures of a folder of sheets, 25 rows of 40, and their labels."""
    from PIL import Image

    pictures = []
    for path in sorted(folder.glob("train_*.webp")):
        sheet = np.asarray(Image.open(path).convert("RGB"))
        pictures.append(sheet.reshape(25, 32, 40, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32))
    return np.concatenate(pictures), np.load(next(folder.glob("*labels*.npy")))


def read_data(folder):
    """Returns training pictures and labels, and test pictures and labels."""
    parts = [read_binary(path) for path in sorted(folder.glob("data_batch_*.bin*"))]
    if (folder / "train").is_dir():
        parts.append(read_pictures(folder / "train"))
    train = [np.concatenate(column) for column in zip(*parts)]
    test = read_binary(next(iter(sorted(folder.glob("test_batch.bin*")))))
    if len(train[0]) != 50_000:
        raise SystemExit(f"{folder} has {len(train[0])} training images; all 50,000 are wanted")
    as_tensors = lambda pair: (torch.from_numpy(pair[0].copy()), torch.from_numpy(pair[1].astype(np.int64)))
    return *as_tensors(train), *as_tensors(test)


def normalised(pictures):
    """Returns pixels 0..=255 as the network's input."""
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    value = (pictures.float() / 255 - mean) / std
    return value.contiguous(memory_format=torch.channels_last)


def augmented(pictures, generator):
    """Returns pictures shifted and flipped at random."""
    count = len(pictures)
    padded = functional.pad(pictures, (SHIFT,) * 4)
    offsets = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    pixels = torch.arange(32)
    flips = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(flips, pixels.flip(0), pixels) + offsets[1]
    rows = pixels + offsets[0]
    index = torch.arange(count).view(-1, 1, 1)
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def accuracy(network, pictures, labels):
    network.eval()
    with torch.inference_mode():
        right = [
            (network(normalised(pictures[i : i + 500])).argmax(1) == labels[i : i + 500]).sum().item()
            for i in range(0, len(labels), 500)
        ]
    return sum(right) / len(labels)


def running_mean(mean, network, step):
    """Moves the mean towards the network, faster in the beginning."""
    decay = min(MEAN_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        state = network.state_dict()
        for name, value in mean.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - decay)
            else:
                value.copy_(state[name])


class Run:
    """One stretch of training: a network, its optimiser, and its running mean."""

    def __init__(self, arguments, data, network, teacher, epochs):
        self.arguments = arguments
        self.images, self.labels, *self.test = data
        self.network = network
        # The quantised network's large passes are compiled already, each by itself.
        self.forward = torch.compile(network) if teacher is None else network
        self.teacher = teacher
        self.epochs = epochs
        self.is_quantised = teacher is not None
        self.mean = copy.deepcopy(network)
        self.generator = torch.Generator().manual_seed(arguments.seed)
        scales = [p for name, p in network.named_parameters() if name.endswith("scale")]
        others = [p for name, p in network.named_parameters() if not name.endswith("scale")]
        decay = QUANTISED_WEIGHT_DECAY if self.is_quantised else WEIGHT_DECAY
        self.rate = arguments.rate if self.is_quantised else FLOAT_RATE
        self.optimiser = torch.optim.SGD(
            [{"params": others, "weight_decay": decay}, {"params": scales, "weight_decay": 0}],
            lr=self.rate, momentum=MOMENTUM, nesterov=True,
        )
        self.steps = len(self.images) // BATCH

    def train(self):
        """Trains all epochs, with a checkpoint after each, and returns the running mean."""
        kind = "quantised" if self.is_quantised else "float"
        for epoch in range(self.epochs):
            start = time.time()
            loss = self.epoch(epoch)
            found = accuracy(self.mean, *self.test)
            print(
                f"{kind} epoch {epoch + 1}/{self.epochs}: "
                f"loss {loss:.3f}, test accuracy {found:.2%}, {time.time() - start:.0f} s",
                flush=True,
            )
            torch.save(self.mean.state_dict(), self.arguments.out.with_suffix(f".{kind}.pt"))
        return self.mean

    def epoch(self, epoch):
        self.network.train()
        order = torch.randperm(len(self.images), generator=self.generator)
        losses = 0.0
        for index in range(self.steps):
            step = epoch * self.steps + index
            self.set_rate(step / (self.epochs * self.steps))
            batch = order[index * BATCH : (index + 1) * BATCH]
            losses += self.step(batch)
            running_mean(self.mean, self.network, step)
        return losses / self.steps

    def set_rate(self, done):
        """Sets the learning rate: a short rise, then half a cosine."""
        rise = 0.0 if self.is_quantised else 0.2
        share = done / rise if done < rise else (1 + math.cos(math.pi * (done - rise) / (1 - rise))) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * max(share, 1e-3)

    def step(self, batch):
        pictures = normalised(augmented(self.images[batch], self.generator))
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.forward(pictures)
            if self.is_quantised:
                with torch.no_grad():
                    taught = self.teacher(pictures)
        logits = logits.float()
        loss = functional.cross_entropy(logits, self.labels[batch], label_smoothing=0 if self.is_quantised else 0.05)
        if self.is_quantised:
            temperature = 2.0
            distance = functional.kl_div(
                functional.log_softmax(logits / temperature, 1),
                functional.softmax(taught.float() / temperature, 1),
                reduction="batchmean",
            )
            penalties = torch.stack([activation.penalty for activation in self.network.activations()])
            loss = 0.3 * loss + temperature**2 * distance + RANGE_PENALTY * penalties.sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


class Graph:
    """An ONNX graph while it grows."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        value = np.asarray(value, np.float32)
        self.constants.append(helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.flatten()))
        return name

    def add(self, operation, name, inputs, domain="", **attributes):
        node = helper.make_node(operation, inputs, [name], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def quant(self, name, value, scale, bits, signed):
        inputs = [
            value,
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero", 0.0),
            self.constant(f"{name}.bits", bits),
        ]
        attributes = {"signed": int(signed), "narrow": int(signed), "rounding_mode": "ROUND"}
        return self.add("Quant", name, inputs, domain="qonnx.custom_op.general", **attributes)

    def weights(self, name, integers, scale, high):
        """Adds weights as scaled integers; `scale` is per output channel."""
        scale = scale.view(-1, *[1] * (integers.dim() - 1))
        value = self.constant(f"{name}.weight", (integers * scale).numpy())
        bits = int(high + 1).bit_length()
        return self.quant(f"{name}.quant", value, scale.numpy(), bits, True)

    def convolution(self, name, layer, value):
        """Adds a convolution with its BatchNorm in scale and bias."""
        with torch.no_grad():
            norm, quantised = layer.norm, layer.quantised
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            scale = quantised.scale.flatten()
            integers = (layer.conv.weight / quantised.scale).clamp(-quantised.high, quantised.high).round()
            integers *= torch.sign(scale * factor).view(-1, 1, 1, 1)
            bias = norm.bias - norm.running_mean * factor
            if layer.alive is not None:
                integers *= layer.alive.view(-1, 1, 1, 1)
                factor = torch.where(layer.alive, factor, 1.0)
                bias = torch.where(layer.alive, bias, layer.resting)
            weights = self.weights(name, integers, (scale * factor).abs(), quantised.high)
            bias = self.constant(f"{name}.bias", bias.numpy())
        stride = list(layer.conv.stride)
        return self.add("Conv", name, [value, weights, bias], strides=stride, pads=[1] * 4, kernel_shape=[3, 3])

    def activation(self, name, layer, value):
        value = self.add("Relu", name, [value])
        bits = int(layer.high + 1).bit_length() - 1
        return self.quant(f"{name}.quant", value, layer.scale.item(), bits, False)

    def shortcut(self, name, value, inputs, outputs):
        """Adds every second pixel of each channel, between channels of zeros."""
        weights = np.zeros((outputs, inputs, 1, 1), np.float32)
        weights[outputs // 4 + np.arange(inputs), np.arange(inputs)] = 1
        weights = self.constant(f"{name}.weight", weights)
        return self.add("Conv", name, [value, weights], strides=[2, 2], kernel_shape=[1, 1])


def to_onnx(network):
    """Returns a trained network as an ONNX model."""
    graph = Graph()
    value = graph.activation("relu1", network.start, graph.convolution("conv1", network.stem, "input"))
    for index, block in enumerate(network.blocks):
        name = f"block{index + 1}"
        through = graph.convolution(f"{name}.conv1", block.first, value)
        through = graph.activation(f"{name}.relu1", block.middle, through)
        through = graph.convolution(f"{name}.conv2", block.second, through)
        if block.stride == 2:
            value = graph.shortcut(f"{name}.shortcut", value, block.outputs // 2, block.outputs)
        through = graph.add("Add", f"{name}.add", [through, value])
        value = graph.activation(f"{name}.relu2", block.last, through)
    value = graph.add("GlobalAveragePool", "pool", [value])
    value = graph.add("Flatten", "flatten", [value])
    head = network.quantised_head
    with torch.no_grad():
        integers = (network.head.weight / head.scale).clamp(-head.high, head.high).round()
        weights = graph.weights("head", integers, head.scale.flatten(), head.high)
    bias = graph.constant("head.bias", network.head.bias.detach().numpy())
    graph.add("Gemm", "logits", [value, weights, bias], transB=1)
    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    built = helper.make_graph(
        graph.nodes, "resnet20", [tensor("input", [1, 3, 32, 32])], [tensor("logits", [1, 10])], graph.constants
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    return helper.make_model(built, opset_imports=opsets, ir_version=8, producer_name="train_resnet20.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of CIFAR-10")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--weights", type=Path,
        help="start from these: .safetensors, .float.pt of a run, or .quantised.pt, which is only written as ONNX",
    )
    parser.add_argument("--epochs", type=int, default=60, help="in float; none with --weights")
    parser.add_argument("--quantised-epochs", type=int, default=15)
    parser.add_argument("--rate", type=float, default=QUANTISED_RATE, help="learning rate of the quantised epochs")
    parser.add_argument("--bits", type=int, default=4, help="of activations")
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--noise", type=float, default=0.3, help="sigma, as a fraction of an activation's step")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    data = read_data(arguments.data)
    network = ResNet20().to(memory_format=torch.channels_last)
    if arguments.weights is None:
        network = Run(arguments, data, network, None, arguments.epochs).train()
    elif arguments.weights.suffix == ".safetensors":
        network.load_akamaster(arguments.weights)
    else:
        state = torch.load(arguments.weights)
        if any(name.endswith("quantised.scale") for name in state):
            return write_checkpoint(arguments, data, network, state)
        network.load_state_dict(state)
    print(f"float: test accuracy {accuracy(network, *data[2:]):.2%}", flush=True)
    teacher = copy.deepcopy(network).eval()
    quantise(arguments, data, network)
    write(arguments, data, Run(arguments, data, network, teacher, arguments.quantised_epochs).train())


def quantise(arguments, data, network):
    with torch.no_grad():
        network.eval()(normalised(data[0][:500]))
    network.quantise(arguments.bits, arguments.weight_bits, arguments.noise)


def write_checkpoint(arguments, data, network, state):
    """Writes what the quantised epochs had reached when they broke off."""
    quantise(arguments, data, network)
    network.load_state_dict(state)
    write(arguments, data, network)


def write(arguments, data, network):
    for activation in network.activations():
        activation.noise = 0.0
    network.prune(data[0])
    onnx.save(to_onnx(network), arguments.out)
    print(f"without noise: test accuracy {accuracy(network, *data[2:]):.2%}; wrote {arguments.out}")


if __name__ == "__main__":
    main()

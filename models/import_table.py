#!/usr/bin/env python3
"""Imports networks with their whole test sets at default bits and prints their accuracies in Markdown.

Usage: python3 models/import_table.py BINARY DATA CASES [NAME ...]

DATA holds the public networks with MNIST and CIFAR-10, CASES small networks and tabular data; networks
whose files are absent are left out with a word. Standard library only.
"""
import os
import re
import subprocess
import sys
import tempfile

MNIST = (
    "--calibrate {data}/mnist/train-images-idx3-ubyte.gz --labels {data}/mnist/train-labels-idx1-ubyte.gz "
    "--test {data}/mnist/t10k-images-idx3-ubyte.gz --test-labels {data}/mnist/t10k-labels-idx1-ubyte.gz"
)
CIFAR = "--calibrate {data}/cifar10/data_batch_1.bin.gz --test {data}/cifar10/test_batch.bin.gz"
STANDARD = "--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"
# Name of the file below DATA/models or CASES, and the arguments of import.
NETWORKS = [
    ("onnxzoo_mnist-8", MNIST),
    ("ccoltong_lenet5_regularized", MNIST + " --scale 1/255"),
    ("TFC_2W2A", MNIST + " --scale 1/255"),
    ("quantised/TFC_1W1A", MNIST + " --scale 1/255"),
    ("cryptonets_mnist", MNIST + " --scale 1/256"),
    ("quantised/marabou_mnist5x20_leaky_relu", MNIST + " --scale 1/255"),
    ("linear-runs/mnist-more-bits/mnist", "--calibrate {here}/train.npz --test {here}/test.npz --scale 1/255"),
    ("linear-runs/two-convs/convs1", "--calibrate {here}/train.npz --test {here}/test.npz --scale 1/255"),
    ("linear-runs/two-convs/convs2", "--calibrate {here}/train.npz --test {here}/test.npz --scale 1/255"),
    ("tabular/sk_cancer", "--calibrate {here}/data/cancer_train.npz --test {here}/data/cancer_test.npz"),
    ("tabular/sk_cancer2", "--calibrate {here}/data/cancer2_train.npz --test {here}/data/cancer2_test.npz"),
    ("tabular/sk_std_mlp", "--calibrate {here}/data/train.npz --test {here}/data/test.npz"),
    ("tabular/sk_logreg", "--calibrate {here}/data/train.npz --test {here}/data/test.npz"),
    ("tabular/sk_sgd", "--calibrate {here}/data/train.npz --test {here}/data/test.npz"),
    ("tabular/sk_perceptron", "--calibrate {here}/data/train.npz --test {here}/data/test.npz"),
    ("labels/sklearn-labels-from-1/lr_from1", "--calibrate {here}/lr_from1_c.npz --test {here}/lr_from1_t.npz"),
    ("mlperf_tiny_resnet8_float", CIFAR),
    ("mlperf_tiny_resnet8_int8_qdq", CIFAR + " --bits 4"),
    ("delphi_minionn_cifar10_relu", CIFAR + " --scale 1/255"),
    ("delphi_minionn_cifar10_7_approx", CIFAR + " --scale 1/255"),
    ("resnet20_akamaster_bnfolded", CIFAR + " " + STANDARD),
]


# Of networks that take longer, noise is what the import tells, over the first images.
LONG = ("mlperf", "delphi", "resnet20")


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def row(binary, path, name, arguments):
    """Returns the cells behind the name."""
    with tempfile.TemporaryDirectory() as out:
        folder = os.path.join(out, "model")
        code, text = run([binary, "import", path, *arguments, "-o", folder])
        found = re.search(r"accuracy over (\d+) test images\s+float ([0-9.]+) %.*?integers ([0-9.]+) %", text, re.S)
        if code or not found:
            return ["", "", "", "", "", text.strip().splitlines()[-1]]
        images, accuracy, integers = found.groups()
        first = re.search(r"over the first (\d+) of them\s+integers ([0-9.]+) %, with noise ([0-9.]+) % at a step noise of ([0-9.]+)", text)
        noise, step_noise = (f"{first[3]} % ({first[2]} % without, first {first[1]})", first[4]) if first else ("", "")
        if first and not name.startswith(LONG):
            layers = int(re.search(r"(\d+) placeable layers", text)[1])
            _, told = run([binary, "params", "--model", folder, "--placement", "S" * layers])
            whole = re.search(r"accuracy over \d+ test images\s+[0-9.]+ % without noise, ([0-9.]+) % with it", told)
            noise = f"{whole[1]} %" if whole else noise
        warnings = re.findall(r"^warning: (.*(?:integers|noise).*)$", text, re.M)
        return [images, f"{accuracy} %", f"{integers} %", noise, step_noise, "; ".join(warnings)]


def main():
    binary, data, cases = (os.path.abspath(path) for path in sys.argv[1:4])
    wanted = sys.argv[4:]
    print("| network | test images | float | integers | with noise | step noise | warning |")
    print("|---|---|---|---|---|---|---|")
    for entry, arguments in NETWORKS:
        name = os.path.basename(entry)
        if wanted and name not in wanted:
            continue
        path = os.path.join(cases if "/" in entry else os.path.join(data, "models"), entry + ".onnx")
        if not os.path.exists(path):
            print(f"{name}: left out, {path} is absent", file=sys.stderr)
            continue
        arguments = arguments.format(data=data, here=os.path.dirname(path)).split()
        print("| " + " | ".join([name, *row(binary, path, name, arguments)]) + " |", flush=True)


if __name__ == "__main__":
    main()

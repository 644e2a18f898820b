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


def main():
    binary, data, cases = (os.path.abspath(path) for path in sys.argv[1:4])
    wanted = sys.argv[4:]
    print("| network | test images | float | integers | with noise | warning |")
    print("|---|---|---|---|---|---|")
    for name, arguments in NETWORKS:
        if wanted and os.path.basename(name) not in wanted:
            continue
        path = os.path.join(cases if "/" in name else os.path.join(data, "models"), name + ".onnx")
        if not os.path.exists(path):
            print(f"{name}: left out, {path} is absent", file=sys.stderr)
            continue
        arguments = arguments.format(data=data, here=os.path.dirname(path)).split()
        with tempfile.TemporaryDirectory() as out:
            command = [binary, "import", path, *arguments, "-o", os.path.join(out, "model")]
            run = subprocess.run(command, capture_output=True, text=True)
        text = run.stdout + run.stderr
        found = re.search(r"accuracy over (\d+) test images\s+float ([0-9.]+) %.*?integers ([0-9.]+) %", text, re.S)
        noisy = re.search(r"with noise ([0-9.]+) %", text)
        warnings = " ".join(re.findall(r"^warning: (.*(?:integers|noise).*)$", text, re.M))
        if run.returncode or not found:
            print(f"| {os.path.basename(name)} | | | | | {text.strip().splitlines()[-1]} |", flush=True)
            continue
        shown = f"{noisy[1]} %" if noisy else ""
        print(
            f"| {os.path.basename(name)} | {found[1]} | {found[2]} % | {found[3]} % | {shown} | {warnings} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

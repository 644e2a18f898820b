"""Makes the small models of this folder, cases.json (inputs, and the outputs of ONNX Runtime) and
refusals.json (what must not be read, and words of the reason).

    pip install onnx onnxruntime numpy            # scikit-learn and skl2onnx for its exports
    python make_golden.py

Operators that ONNX Runtime does not know (QONNX's) are computed here in numpy. Every case is one
image; the first axis is the batch. The result is the same at every run, but for the scikit-learn
models, which are kept as they are where scikit-learn is not installed.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent
RNG = np.random.default_rng(2026)
CASES = []
REFUSALS = []


def numbers(*shape, scale=1.0):
    return (RNG.normal(size=shape) * scale).astype(np.float32)


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs, [output], **attributes)


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})


def write(name, model):
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    assert path.stat().st_size <= 3072, (name, path.stat().st_size)


def keep(name, model, x, output, classes=None):
    """Writes a model and what it makes of `x`; `classes` is its class list."""
    write(name, model)
    short = lambda values: [float(f"{value:.7g}") for value in np.ravel(values)]
    more = {} if classes is None else {"classes": list(classes)}
    CASES.append({"name": name, "input": short(x), "output": short(output), **more})


def network(name, shape, nodes, constants=(), opset=17, batch="N", domains=(), kind=TensorProto.FLOAT):
    """Returns a model whose last node makes the output; `shape` is without the batch."""
    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in dict(constants).items()]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", kind, [batch, *shape])],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        tensors,
    )
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 3 if d == "ai.onnx.ml" else 1) for d in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def case(name, shape, nodes, constants=(), opset=17, expected=None, batch="N", x=None, classes=None, stored=lambda x: x, **more):
    """Writes a model of nodes; `stored` brings an input to the order in which images are kept."""
    if x is None:
        x = numbers(1, *shape)
    model = network(name, shape, nodes, constants, opset, batch, **more)
    fed = x if batch in ("N", 1) else np.repeat(x, batch, 0)
    output = expected(x) if expected else run(model, fed)[0][:1]
    keep(name, model, stored(x), output, classes)


def refused(name, words, shape, nodes, constants=(), **more):
    """Writes a model that must be refused with these words."""
    write(f"refused_{name}", network(name, shape, nodes, constants, **more))
    REFUSALS.append({"name": f"refused_{name}", "words": words})


def convolutions():
    def conv(name, shape, weights, bias=True, opset=17, **attributes):
        constants = {"conv.weight": numbers(*weights, scale=0.5)}
        if bias:
            constants["conv.bias"] = numbers(weights[0])
        case(f"conv_{name}", shape, [node("Conv", ["x", *constants], "y", **attributes)], constants, opset)

    conv("plain", [2, 5, 6], [3, 2, 3, 3])
    conv("no_bias", [2, 5, 6], [3, 2, 3, 3], bias=False)
    conv("one_by_one", [3, 4, 4], [4, 3, 1, 1])
    conv("flat_kernel", [2, 5, 6], [2, 2, 1, 3])
    conv("tall_kernel", [2, 5, 6], [2, 2, 3, 1], pads=[1, 0, 1, 0])
    conv("stride_2", [2, 7, 6], [3, 2, 3, 3], strides=[2, 2])
    conv("stride_2_3", [2, 7, 8], [3, 2, 2, 3], strides=[2, 3])
    conv("pads", [2, 5, 5], [3, 2, 3, 3], pads=[1, 1, 1, 1])
    conv("uneven_pads", [2, 5, 5], [3, 2, 3, 3], pads=[0, 1, 2, 0])
    conv("end_pads_stride", [1, 6, 6], [2, 1, 5, 5], pads=[0, 0, 1, 1], strides=[2, 2])
    conv("same_upper", [2, 5, 6], [3, 2, 2, 4], auto_pad="SAME_UPPER")
    conv("same_lower", [2, 5, 6], [3, 2, 2, 4], auto_pad="SAME_LOWER")
    conv("same_upper_stride", [2, 5, 6], [3, 2, 3, 3], auto_pad="SAME_UPPER", strides=[2, 2])
    conv("same_lower_stride", [2, 6, 6], [3, 2, 3, 3], auto_pad="SAME_LOWER", strides=[2, 2])
    conv("valid", [2, 5, 6], [3, 2, 3, 3], auto_pad="VALID")
    conv("groups", [4, 4, 5], [6, 2, 3, 3], group=2, pads=[1, 1, 1, 1])
    conv("depthwise", [3, 5, 5], [3, 1, 3, 3], group=3, pads=[1, 1, 1, 1])
    conv("depthwise_multiplier", [2, 5, 5], [4, 1, 3, 3], group=2, strides=[2, 2])
    conv("whole_image", [2, 4, 4], [5, 2, 4, 4])
    conv("opset_8", [2, 4, 4], [2, 2, 3, 3], opset=8)


def matrix_products():
    def gemm(name, a, b, c, **attributes):
        constants = {"fc.weight": numbers(*b)}
        if c is not None:
            constants["fc.bias"] = numbers(*c)
        case(f"gemm_{name}", a, [node("Gemm", ["x", *constants], "y", **attributes)], constants)

    gemm("plain", [6], [6, 4], [4])
    gemm("trans_b", [6], [4, 6], [4], transB=1)
    gemm("alpha_beta", [6], [4, 6], [1, 4], transB=1, alpha=0.5, beta=-2.0)
    gemm("no_bias", [6], [6, 4], None)
    gemm("scalar_bias", [6], [6, 4], [1])
    weights = {"w": numbers(6, 4)}
    case("mat_mul", [6], [node("MatMul", ["x", "w"], "y")], weights)
    case(
        "mat_mul_bias",
        [6],
        [node("MatMul", ["x", "w"], "a"), node("Add", ["b", "a"], "y")],
        {**weights, "b": numbers(1, 4)},
    )
    case(
        "mat_mul_transposed_weights",
        [6],
        [node("Transpose", ["wt"], "w", perm=[1, 0]), node("MatMul", ["x", "w"], "y")],
        {"wt": numbers(4, 6)},
    )
    case("mat_mul_of_row", [1, 6], [node("MatMul", ["x", "w"], "y")], weights)
    case("half_weights", [6], [node("Cast", ["w"], "v", to=1), node("MatMul", ["x", "v"], "y")],
         {"w": numbers(6, 4).astype(np.float16)})
    case("double_weights", [6], [node("Cast", ["w"], "v", to=1), node("MatMul", ["x", "v"], "y")],
         {"w": numbers(6, 4).astype(np.float64)})


CONV = {"cw": numbers(3, 2, 3, 3, scale=0.5), "cb": numbers(3)}


def after_conv(name, nodes, constants=(), shape=(2, 5, 5), pads=(1, 1, 1, 1), **more):
    """A case of nodes that read `c`, the output of a convolution with three channels."""
    conv = node("Conv", ["x", "cw", "cb"], "c", pads=list(pads))
    case(name, list(shape), [conv, *nodes], {**CONV, **dict(constants)}, **more)


def affine():
    norm = {"s": numbers(3), "t": numbers(3), "m": numbers(3), "v": np.abs(numbers(3)) + 0.1}
    bn = lambda inp, out: node("BatchNormalization", [inp, *norm], out, epsilon=1e-3)
    after_conv("norm_after_conv", [bn("c", "y")], norm)
    after_conv("norm_after_relu", [node("Relu", ["c"], "r"), bn("r", "y")], norm)
    after_conv("norm_relu_conv", [node("Relu", ["c"], "r"), bn("r", "n"), node("Conv", ["n", "w2"], "y")],
               {**norm, "w2": numbers(2, 3, 3, 3)})
    after_conv("norm_relu_padded_conv",
               [node("Relu", ["c"], "r"), bn("r", "n"), node("Conv", ["n", "w2"], "y", pads=[1, 1, 1, 1])],
               {**norm, "w2": numbers(2, 3, 3, 3)})
    after_conv("norm_of_shared", [bn("c", "n"), node("Relu", ["c"], "r"), node("Add", ["n", "r"], "y")], norm)
    case("norm_first", [3, 4, 4], [bn("x", "n"), node("Conv", ["n", "w2"], "y")], {**norm, "w2": numbers(2, 3, 2, 2)})
    case("norm_flat", [4], [node("MatMul", ["x", "w"], "a"), bn("a", "y")], {"w": numbers(4, 3), **norm})
    case("norm_flat_relu", [4],
         [node("MatMul", ["x", "w"], "a"), node("Relu", ["a"], "r"), bn("r", "n"), node("MatMul", ["n", "u"], "y")],
         {"w": numbers(4, 3), "u": numbers(3, 2), **norm})
    case("norm_flat_last", [4], [node("MatMul", ["x", "w"], "a"), node("Relu", ["a"], "r"), bn("r", "y")],
         {"w": numbers(4, 3), **norm})
    channel = {"k": numbers(3, 1, 1)}
    for operator in ["Add", "Sub", "Mul", "Div"]:
        after_conv(f"{operator.lower()}_channels", [node(operator, ["c", "k"], "y")], channel)
        after_conv(f"{operator.lower()}_number", [node(operator, ["c", "k"], "y")], {"k": np.float32(1.7)})
    after_conv("sub_from", [node("Sub", ["k", "c"], "y")], channel)
    after_conv("number_after_relu", [node("Relu", ["c"], "r"), node("Mul", ["r", "k"], "y")], {"k": np.float32(-0.3)})
    after_conv("channels_after_pool",
               [node("AveragePool", ["c"], "p", kernel_shape=[2, 2]), node("Mul", ["p", "k"], "m"), node("Add", ["m", "k"], "y")],
               channel)
    after_conv("elements_after_flatten",
               [node("Relu", ["c"], "r"), node("Flatten", ["r"], "f"), node("Mul", ["f", "k"], "m"),
                node("MatMul", ["m", "u"], "y")], {"k": numbers(12), "u": numbers(12, 3)}, shape=(2, 4, 4), pads=(0, 0, 0, 0))
    after_conv("standardised_input_like", [node("Sub", ["c", "a"], "d"), node("Div", ["d", "k"], "y")],
               {"a": numbers(1, 3, 1, 1), "k": np.abs(numbers(1, 3, 1, 1)) + 0.5})
    case("standardised_input", [2, 5, 5],
         [node("Sub", ["x", "a"], "d"), node("Div", ["d", "k"], "e"), node("Conv", ["e", "cw", "cb"], "y", pads=[1, 1, 1, 1])],
         {"a": numbers(1, 2, 1, 1), "k": np.abs(numbers(1, 2, 1, 1)) + 0.5, **CONV})


def pools():
    shape = [2, 7, 6]
    settings = {
        "plain": dict(kernel_shape=[2, 2]),
        "stride": dict(kernel_shape=[2, 2], strides=[2, 2]),
        "uneven": dict(kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 0, 1]),
        "pads": dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        "ceil": dict(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        "ceil_pads": dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
        "ceil_wide": dict(kernel_shape=[2, 2], strides=[4, 4], ceil_mode=1),
        "same_upper": dict(kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
        "same_lower": dict(kernel_shape=[3, 2], auto_pad="SAME_LOWER"),
    }
    for name, attributes in settings.items():
        case(f"average_pool_{name}", shape, [node("AveragePool", ["x"], "y", **attributes)])
        case(f"max_pool_{name}", shape, [node("MaxPool", ["x"], "y", **attributes)])
        case(f"average_pool_{name}_counted", shape,
             [node("AveragePool", ["x"], "y", count_include_pad=1, **attributes)], opset=19)
    case("global_average_pool", shape, [node("GlobalAveragePool", ["x"], "y")])
    case("global_max_pool", shape, [node("GlobalMaxPool", ["x"], "y")])
    case("reduce_mean", shape, [node("ReduceMean", ["x"], "y", axes=[2, 3], keepdims=0)])
    case("reduce_mean_18", shape, [node("ReduceMean", ["x", "a"], "y")], {"a": np.array([-1, -2])}, opset=18)
    after_conv("max_pool_before_relu", [node("MaxPool", ["c"], "p", kernel_shape=[2, 2]), node("Relu", ["p"], "y")])
    after_conv("max_pool_before_square", [node("MaxPool", ["c"], "p", kernel_shape=[2, 2]), node("Mul", ["p", "p"], "y")])


def functions():
    two = {"k": np.float32(0.7), "h": np.float32(-0.4)}
    for name, nodes in {
        "relu": [node("Relu", ["c"], "y")],
        "relu6": [node("Clip", ["c", "z", "six"], "y")],
        "clip_low": [node("Clip", ["c", "h"], "y")],
        "clip_high": [node("Clip", ["c", "", "k"], "y")],
        "leaky_relu": [node("LeakyRelu", ["c"], "y", alpha=0.2)],
        "leaky_relu_default": [node("LeakyRelu", ["c"], "y")],
        "prelu": [node("PRelu", ["c", "slope"], "y")],
        "sigmoid": [node("Sigmoid", ["c"], "y")],
        "tanh": [node("Tanh", ["c"], "y")],
        "hard_sigmoid": [node("HardSigmoid", ["c"], "y", alpha=0.3, beta=0.4)],
        "hard_sigmoid_default": [node("HardSigmoid", ["c"], "y")],
        "hard_swish": [node("HardSwish", ["c"], "y")],
        "neg": [node("Relu", ["c"], "r"), node("Neg", ["r"], "y")],
        "minimum": [node("Min", ["c", "k"], "y")],
        "maximum": [node("Max", ["h", "c"], "y")],
        "square": [node("Mul", ["c", "c"], "y")],
        "pow_2": [node("Pow", ["c", "p2"], "y")],
        "pow_3": [node("Pow", ["c", "p3"], "y")],
        "polynomial": [node("Mul", ["c", "c"], "q"), node("Mul", ["q", "k"], "a"), node("Mul", ["c", "h"], "l"),
                       node("Add", ["a", "l"], "s"), node("Add", ["s", "k"], "y")],
        "swish": [node("Sigmoid", ["c"], "s"), node("Mul", ["c", "s"], "y")],
        "hard_swish_parts": [node("HardSigmoid", ["c"], "s", alpha=1 / 6, beta=0.5), node("Mul", ["s", "c"], "y")],
        "hard_swish_relu6": [node("Add", ["c", "three"], "a"), node("Clip", ["a", "z", "six"], "b"),
                             node("Mul", ["c", "b"], "m"), node("Div", ["m", "six"], "y")],
        "function_sum": [node("Relu", ["c"], "r"), node("Tanh", ["c"], "t"), node("Sub", ["r", "t"], "y")],
        "shared_function": [node("Relu", ["c"], "r"), node("Conv", ["r", "w3"], "d"), node("Tanh", ["r"], "t"),
                            node("Add", ["d", "t"], "y")],
        "gate_of_shared": [node("Sigmoid", ["c"], "s"), node("Mul", ["c", "s"], "m"), node("Conv", ["s", "w3"], "d"),
                           node("Add", ["d", "m"], "y")],
    }.items():
        constants = {
            "z": np.float32(0), "six": np.float32(6), "three": np.float32(3), "slope": numbers(1, 1, 1)[:, :, :],
            "p2": np.float32(2), "p3": np.float32(3), "w3": numbers(3, 3, 1, 1), **two,
        }
        used = {name for n in nodes for name in n.input}
        after_conv(name, nodes, {key: value for key, value in constants.items() if key in used})
    after_conv("clip_attributes", [node("Clip", ["c"], "y", min=-0.5, max=0.5)], opset=10)


def residuals():
    w = {"w3": numbers(3, 3, 3, 3, scale=0.3), "w4": numbers(3, 3, 1, 1)}
    conv3 = lambda a, b: node("Conv", [a, "w3"], b, pads=[1, 1, 1, 1])
    after_conv("residual", [node("Relu", ["c"], "r"), conv3("r", "d"), node("Add", ["d", "r"], "s"), node("Relu", ["s"], "y")],
               {"w3": w["w3"]})
    after_conv("residual_shortcut",
               [node("Relu", ["c"], "r"), node("Conv", ["r", "w4"], "e"), conv3("r", "d"), node("Add", ["e", "d"], "s"),
                node("Relu", ["s"], "y")], w)
    after_conv("residual_nested",
               [node("Relu", ["c"], "r"), conv3("r", "d"), node("Relu", ["d"], "g"), node("Conv", ["g", "w4"], "e"),
                node("Add", ["e", "g"], "f"), node("Add", ["r", "f"], "y")], w)
    after_conv("residual_sum", [node("Relu", ["c"], "r"), conv3("r", "d"), node("Conv", ["r", "w4"], "e"),
                                node("Sum", ["e", "d", "r"], "y")], w)
    after_conv("residual_difference", [node("Relu", ["c"], "r"), conv3("r", "d"), node("Sub", ["r", "d"], "y")],
               {"w3": w["w3"]})


def reshapes():
    gemm = {"fc": numbers(27, 3)}
    last = node("MatMul", ["f", "fc"], "y")
    chain = lambda *nodes, **constants: ([*nodes, last], {**gemm, **constants})
    for name, (nodes, constants) in {
        "flatten": chain(node("Flatten", ["c"], "f")),
        "flatten_negative": chain(node("Flatten", ["c"], "f", axis=-3)),
        "reshape_minus": chain(node("Reshape", ["c", "s"], "f"), s=np.array([-1, 27])),
        "reshape_zero": chain(node("Reshape", ["c", "s"], "f"), s=np.array([0, -1])),
        "reshape_one": chain(node("Reshape", ["c", "s"], "f"), s=np.array([1, 27])),
        "reshape_twice": chain(node("Reshape", ["c", "s"], "a"), node("Reshape", ["a", "u"], "f"), s=np.array([0, 9, 3]),
                               u=np.array([0, 27])),
        "reshape_computed": chain(node("Shape", ["c"], "a"), node("Gather", ["a", "zero"], "b"),
                                  node("Unsqueeze", ["b", "axis"], "d"), node("Concat", ["d", "rest"], "s", axis=0),
                                  node("Reshape", ["c", "s"], "f"), zero=np.array(0), axis=np.array([0]),
                                  rest=np.array([-1])),
        "reshape_sliced": chain(node("Shape", ["c"], "a"), node("Slice", ["a", "from", "to"], "b"),
                                node("Concat", ["b", "rest"], "s", axis=0), node("Reshape", ["c", "s"], "f"),
                                **{"from": np.array([0]), "to": np.array([1]), "rest": np.array([-1])}),
        "transpose_flatten": chain(node("Transpose", ["c"], "a", perm=[0, 2, 3, 1]), node("Flatten", ["a"], "f")),
        "transpose_relu_flatten": chain(node("Transpose", ["c"], "a", perm=[0, 3, 2, 1]), node("Relu", ["a"], "b"),
                                        node("Flatten", ["b"], "f")),
        "transpose_bias_flatten": chain(node("Transpose", ["c"], "a", perm=[0, 2, 3, 1]), node("Add", ["a", "k"], "b"),
                                        node("Flatten", ["b"], "f"), k=numbers(3)),
        "transpose_back": chain(node("Transpose", ["c"], "a", perm=[0, 2, 3, 1]),
                                node("Transpose", ["a"], "b", perm=[0, 3, 1, 2]),
                                node("MaxPool", ["b"], "d", kernel_shape=[1, 1]), node("Flatten", ["d"], "f")),
        "dropout_identity": chain(node("Dropout", ["c"], "a"), node("Identity", ["a"], "b"), node("Flatten", ["b"], "f")),
    }.items():
        after_conv(name, nodes, constants, shape=(2, 3, 3))
    case("flat_input_to_image", [18],
         [node("Reshape", ["x", "s"], "i"), node("Conv", ["i", "cw", "cb"], "y")], {"s": np.array([-1, 2, 3, 3]), **CONV})
    case("last_channel_input", [5, 5, 1],
         [node("Transpose", ["x"], "i", perm=[0, 3, 1, 2]), node("Conv", ["i", "w1"], "y")], {"w1": numbers(2, 1, 3, 3)})
    case("squeeze", [2, 3, 3],
         [node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "a"], "s"), node("MatMul", ["s", "u"], "y")],
         {"a": np.array([2, 3]), "u": numbers(2, 3)})
    case("unsqueeze_squeeze", [4],
         [node("MatMul", ["x", "w4"], "a"), node("Unsqueeze", ["a", "i"], "b"), node("Squeeze", ["b", "i"], "d"),
          node("MatMul", ["d", "u"], "y")], {"w4": numbers(4, 3), "u": numbers(3, 2), "i": np.array([2])})
    case("batch_of_ten", [2, 3, 3], [node("Conv", ["x", "cw", "cb"], "c"), node("Reshape", ["c", "s"], "y")],
         {"s": np.array([10, 3]), **CONV}, batch=10)


def tails():
    weights = {"w": numbers(4, 3)}
    for operator in ["Softmax", "LogSoftmax"]:
        case(operator.lower(), [4], [node("MatMul", ["x", "w"], "a"), node(operator, ["a"], "y", axis=1)], weights)
    case("softmax_opset_9", [4], [node("MatMul", ["x", "w"], "a"), node("Softmax", ["a"], "y")], weights, opset=9)
    case("arg_max", [4], [node("MatMul", ["x", "w"], "a"), node("ArgMax", ["a"], "y", axis=1)], weights)
    # Of numbers of its own, so that those of the cases below stay.
    case("sigmoid_of_one", [3], [node("MatMul", ["x", "v"], "a"), node("Sigmoid", ["a"], "y")],
         {"v": np.array([[1], [-2], [0.5]], np.float32)}, x=np.array([[0.5, -0.25, 1]], np.float32))


def linear_quantisers():
    def pair(value, scale, zero, out, **attributes):
        return [node("QuantizeLinear", [value, scale, zero], out + "_q", **attributes),
                node("DequantizeLinear", [out + "_q", scale, zero], out, **attributes)]

    act = {"sa": np.float32(0.05), "za": np.int8(-10), "zu": np.uint8(30)}
    after_conv("qdq_after_conv", pair("c", "sa", "za", "y"), {"sa": act["sa"], "za": act["za"]})
    after_conv("qdq_after_relu", [node("Relu", ["c"], "r"), *pair("r", "sa", "zu", "y")], {"sa": act["sa"], "zu": act["zu"]})
    after_conv("qcdq", [node("QuantizeLinear", ["c", "sa", "z0"], "q"), node("Clip", ["q", "lo", "hi"], "k"),
                        node("DequantizeLinear", ["k", "sa", "z0"], "y")],
               {"sa": np.float32(0.3), "z0": np.int8(0), "lo": np.int8(-3), "hi": np.int8(3)})
    after_conv("qdq_other_scale", [node("QuantizeLinear", ["c", "sa", "za"], "q"), node("DequantizeLinear", ["q", "sb", "zb"], "y")],
               {"sa": np.float32(0.05), "za": np.int8(-10), "sb": np.float32(0.1), "zb": np.int8(3)})
    after_conv("qdq_flattened", [node("QuantizeLinear", ["c", "sa", "za"], "q"), node("Flatten", ["q"], "f"),
                                 node("DequantizeLinear", ["f", "sa", "za"], "y")], {"sa": act["sa"], "za": act["za"]})
    integers = lambda *shape: RNG.integers(-127, 128, size=shape).astype(np.int8)
    case("qdq_weights", [2, 4, 4],
         [*pair("x", "sa", "za", "a"), node("DequantizeLinear", ["wq", "sw", "zw"], "w", axis=0),
          node("DequantizeLinear", ["bq", "sb", "zb"], "b", axis=0), node("Conv", ["a", "w", "b"], "y")],
         {"sa": act["sa"], "za": act["za"], "wq": integers(3, 2, 3, 3), "sw": np.array([0.01, 0.02, 0.005], np.float32),
          "zw": np.zeros(3, np.int8), "bq": np.array([100, -2000, 7], np.int32),
          "sb": np.array([5e-4, 1e-3, 2.5e-4], np.float32), "zb": np.zeros(3, np.int32)})
    case("qdq_weights_zero_point", [6],
         [node("DequantizeLinear", ["wq", "sw", "zw"], "w", axis=1), node("MatMul", ["x", "w"], "y")],
         {"wq": RNG.integers(0, 255, size=(6, 3)).astype(np.uint8), "sw": np.array([0.01, 0.02, 0.005], np.float32),
          "zw": np.array([128, 100, 0], np.uint8)})
    case("qcdq_weights", [6],
         [node("QuantizeLinear", ["wf", "sw", "z0"], "q"), node("Clip", ["q", "lo", "hi"], "k"),
          node("DequantizeLinear", ["k", "sw", "z0"], "w"), node("Gemm", ["x", "w"], "y", transB=1)],
         {"wf": numbers(3, 6), "sw": np.float32(0.25), "z0": np.int8(0), "lo": np.int8(-3), "hi": np.int8(3)})
    norm = {"s": numbers(3), "t": numbers(3), "m": numbers(3), "v": np.abs(numbers(3)) + 0.1}
    case("qdq_weights_norm", [2, 4, 4],
         [node("DequantizeLinear", ["wq", "sw", "zw"], "w", axis=0), node("Conv", ["x", "w"], "a"),
          node("BatchNormalization", ["a", *norm], "y")],
         {"wq": integers(3, 2, 3, 3), "sw": np.array([0.01, 0.02, 0.005], np.float32), "zw": np.zeros(3, np.int8), **norm})


def quant(x, scale, zero, bits, signed, narrow):
    """QONNX's Quant: clip, round half to even."""
    low = (-(2 ** (bits - 1)) + narrow) if signed else 0
    high = (2 ** (bits - 1) - 1) if signed else 2**bits - 1 - narrow
    integers = np.clip(x.astype(np.float64) / scale + zero, low, high)
    return (np.rint(integers) - zero) * scale


def qonnx():
    weights = numbers(4, 6)
    for domain, operator in [("onnx.brevitas", "Quant"), ("qonnx.custom_op.general", "IntQuant")]:
        for signed, narrow, bits, zero in [(1, 1, 2, 0), (1, 0, 4, 0), (0, 0, 3, 0), (0, 1, 3, 0), (1, 0, 4, 1)]:
            node_ = node(operator, ["x", "s", "z", "b"], "y", domain=domain, signed=signed, narrow=narrow,
                         rounding_mode="ROUND")
            case(f"{operator.lower()}_{bits}_{signed}{narrow}_{zero}", [6], [node_],
                 {"s": np.float32(0.5), "z": np.float32(zero), "b": np.float32(bits)}, domains=[domain],
                 expected=lambda x: quant(x, 0.5, zero, bits, signed, narrow))
    attributes = dict(domain="onnx.brevitas", signed=1, narrow=1, rounding_mode="ROUND")
    scales = np.array([[0.2], [0.3], [0.4], [0.5]], np.float32)
    case("quant_weights", [6],
         [node("Quant", ["x", "s", "z", "b"], "a", **attributes), node("Quant", ["wf", "sw", "z", "b"], "q", **attributes),
          node("Transpose", ["q"], "w", perm=[1, 0]), node("MatMul", ["a", "w"], "y")],
         {"s": np.float32(0.25), "z": np.float32(0), "b": np.float32(3), "wf": weights, "sw": scales},
         domains=["onnx.brevitas"],
         expected=lambda x: quant(x, 0.25, 0, 3, 1, 1) @ quant(weights, scales, 0, 3, 1, 1).T)
    sign = lambda x: np.where(x >= 0, 1.0, -1.0)
    case("bipolar", [6],
         [node("BipolarQuant", ["x", "s"], "a", domain="onnx.brevitas"),
          node("BipolarQuant", ["wf", "s"], "w", domain="onnx.brevitas"), node("Gemm", ["a", "w"], "y", transB=1)],
         {"s": np.float32(0.5), "wf": weights}, domains=["onnx.brevitas"],
         expected=lambda x: 0.5 * sign(x) @ (0.5 * sign(weights)).T)


def class_list(estimator):
    """Returns the labels of a classifier's outputs, where these are numbers."""
    labels = getattr(estimator, "classes_", None)
    return None if labels is None or labels.dtype.kind == "U" else [int(label) for label in labels]


def scikit_learn():
    """Exports of scikit-learn, as they come; kept as they are where it is not installed."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.svm import LinearSVC
    from skl2onnx import to_onnx

    points = numbers(60, 4)
    three = (points[:, 0] > 0).astype(int) + (points[:, 1] > 0.2)
    two = (three > 0).astype(int)
    mlp = lambda **more: MLPClassifier((5,), max_iter=30, random_state=1, **more)
    models = {
        "mlp_3": (mlp(), three), "mlp_2": (mlp(activation="tanh"), two),
        "logistic_3": (LogisticRegression(), three), "logistic_2": (LogisticRegression(), two),
        "svc_3": (LinearSVC(), three), "svc_2": (LinearSVC(), two),
        "scaled_mlp": (make_pipeline(StandardScaler(), mlp(activation="logistic")), three),
        "min_max_logistic": (make_pipeline(MinMaxScaler(), LogisticRegression()), three),
        "regression": (LinearRegression(), three),
    }
    for name, (estimator, labels) in models.items():
        estimator.fit(points, labels)
        zip_maps = [False] if name.startswith(("svc", "regression")) else [False, True]
        for zip_map in zip_maps:
            options = None if len(zip_maps) == 1 else {"zipmap": zip_map}
            model = to_onnx(estimator, points[:1], options=options)
            x = numbers(1, 4)
            outputs = run(model, x)
            scores = outputs[-1]
            if zip_map:
                scores = [list(scores[0].values())]
            if name == "svc_2":
                scores = [[-scores[0], scores[0]]]
            keep(f"sklearn_{name}{'_zipped' if zip_map else ''}", model, x, scores, class_list(estimator))


def scikit_learn_classes():
    """Exports whose labels do not count from zero."""
    from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier
    from sklearn.neural_network import MLPClassifier
    from skl2onnx import to_onnx

    points = numbers(60, 4)
    three = np.array([7, 2, 40])[(points[:, 0] > 0).astype(int) + (points[:, 1] > 0.2)]
    two = np.where(points[:, 0] > 0.1, 9, 5)
    linear = dict(max_iter=20, random_state=1)
    for name, estimator, labels, options in [
        ("sgd_3", SGDClassifier(**linear), three, None),
        ("perceptron_3", Perceptron(**linear), three, None),
        ("sgd_3_raw", SGDClassifier(**linear), three, {"zipmap": False}),
        ("sgd_2", SGDClassifier(**linear), two, None),
        ("perceptron_2", Perceptron(**linear), two, {"zipmap": False}),
        ("logistic_labels", LogisticRegression(), three, {"zipmap": False}),
        ("logistic_labels_2", LogisticRegression(), two, None),
        ("mlp_labels", MLPClassifier((5,), max_iter=30, random_state=1), three, None),
        ("mlp_labels_2", MLPClassifier((5,), max_iter=30, random_state=1), two, {"zipmap": False}),
        ("logistic_texts", LogisticRegression(), np.char.add("class ", three.astype(str)), None),
    ]:
        estimator.fit(points, labels)
        model = to_onnx(estimator, points[:1], options=options)
        x = numbers(1, 4)
        scores = run(model, x)[-1]
        if isinstance(scores, list):
            scores = [list(scores[0].values())]
        keep(f"sklearn_{name}", model, x, scores, class_list(estimator))


LINEAR = [node("MatMul", ["x", "w"], "a")]
SOFTMAX = [*LINEAR, node("Softmax", ["a"], "s", axis=1)]


def picks():
    w = {"w": numbers(4, 6)}
    order = {"i": np.array([5, 0, 3, 1, 4, 2])}
    some = {"i": np.array([4, 1, 2])}
    case("gather_behind_softmax", [4], [*SOFTMAX, node("Gather", ["s", "i"], "y", axis=1)], {**w, **order})
    case("gather_behind_log", [4], [*SOFTMAX, node("Log", ["s"], "l"), node("Gather", ["l", "i"], "y", axis=-1)], {**w, **order})
    case("gather_twice", [4],
         [*SOFTMAX, node("Gather", ["s", "i"], "g", axis=1), node("Gather", ["g", "i"], "y", axis=1)], {**w, **order})
    case("gather_before_softmax", [4], [*LINEAR, node("Gather", ["a", "i"], "g", axis=1), node("Softmax", ["g"], "y", axis=1)],
         {**w, **some})
    case("gather_some_arg_max", [4], [*SOFTMAX, node("Gather", ["s", "i"], "g", axis=1), node("ArgMax", ["g"], "y", axis=1)],
         {**w, **some})
    ends = lambda start, end, step=1: {"from": np.array([start]), "to": np.array([end]), "along": np.array([1]),
                                       "by": np.array([step])}
    slice_ = lambda inp, out: node("Slice", [inp, "from", "to", "along", "by"], out)
    case("slice_reversed", [4], [*SOFTMAX, slice_("s", "y")], {**w, **ends(-1, -100, -1)})
    case("slice_arg_max", [4], [*SOFTMAX, slice_("s", "p"), node("ArgMax", ["p"], "y", axis=1)], {**w, **ends(2, 5)})
    case("slice_of_logits", [4], [*LINEAR, slice_("a", "y")], {**w, **ends(1, 6, 2)})
    case("gather_of_input", [6], [node("Gather", ["x", "i"], "a", axis=1), node("MatMul", ["a", "u"], "y")],
         {**some, "u": numbers(3, 2)})
    case("gather_repeats", [6], [node("Gather", ["x", "i"], "a", axis=1), node("MatMul", ["a", "u"], "y")],
         {"i": np.array([4, 4, 0]), "u": numbers(3, 2)})
    case("gather_of_shared", [4],
         [*LINEAR, node("Relu", ["a"], "r"), node("Gather", ["r", "i"], "g", axis=1), node("MatMul", ["r", "u"], "b"),
          node("Add", ["g", "b"], "y")], {**w, **some, "u": numbers(6, 3)})
    case("gather_behind_function", [4], [*LINEAR, node("Tanh", ["a"], "r"), node("Gather", ["r", "i"], "y", axis=1)],
         {**w, **some})
    case("features_extracted", [6],
         [node("ArrayFeatureExtractor", ["x", "i"], "a", domain="ai.onnx.ml"), node("MatMul", ["a", "u"], "y")],
         {**some, "u": numbers(3, 2)}, domains=["ai.onnx.ml"])
    case("scores_reshaped", [4],
         [*SOFTMAX, node("Reshape", ["s", "t"], "r"), node("Transpose", ["r"], "p", perm=[0, 2, 1]), node("Gather", ["p", "i"], "y", axis=2)],
         {**w, **order, "t": np.array([0, -1, 1])})
    case("transposed_output", [2, 3, 3], [node("Conv", ["x", "cw", "cb"], "c"), node("Transpose", ["c"], "y", perm=[0, 2, 3, 1])],
         {"cw": numbers(3, 2, 2, 2), "cb": numbers(3)})


def labels():
    w = {"w": numbers(4, 5)}
    k = lambda count: {"k": np.array([count])}
    best = lambda inp: helper.make_node("TopK", [inp, "k"], ["v", "b"], axis=1)
    last = node("Cast", ["b"], "y", to=TensorProto.FLOAT)
    case("top_one", [4], [*SOFTMAX, best("s"), last], {**w, **k(1)})
    case("top_one_of_logits", [4], [*LINEAR, best("a"), last], {**w, **k(1)})
    case("top_three", [4], [*SOFTMAX, best("s"), node("Gather", ["b", "zero"], "y", axis=1)], {**w, **k(3), "zero": np.array([0])})
    label = node("ArgMax", ["a"], "l", axis=1)
    names = np.array([3, 8, -1, 20, 7], np.int64)
    case("label_reshaped", [4], [*LINEAR, label, node("Reshape", ["l", "t"], "r"), node("Cast", ["r"], "y", to=TensorProto.INT32)],
         {**w, "t": np.array([-1])})
    case("label_from_list", [4], [*LINEAR, label, node("Gather", ["n", "l"], "y")], {**w, "n": names}, classes=names.tolist())
    case("label_extracted", [4],
         [*LINEAR, label, node("ArrayFeatureExtractor", ["n", "l"], "e", domain="ai.onnx.ml"), node("Cast", ["e"], "y", to=TensorProto.INT64)],
         {**w, "n": names.astype(np.int32)}, domains=["ai.onnx.ml"], classes=names.tolist())
    case("label_encoded", [4],
         [*LINEAR, node("ArgMax", ["a"], "l", axis=1, keepdims=0),
          node("LabelEncoder", ["l"], "y", domain="ai.onnx.ml", keys_int64s=[4, 3, 2, 1, 0], values_int64s=[1, 2, 3, 4, 5])],
         w, domains=["ai.onnx.ml"], classes=[5, 4, 3, 2, 1], opset=17)


def paddings():
    pad = lambda inp, *more, **attributes: node("Pad", [inp, "p", *more], "e", **attributes)
    conv = lambda **more: node("Conv", ["e", "cw", "cb"], "y", **more)
    border = np.array([0, 0, 1, 2, 0, 0, 2, 0])
    constants = {"p": border, "cw": numbers(3, 2, 3, 3, scale=0.5), "cb": numbers(3)}
    fill = {"f": np.float32(0.7)}
    shape = [2, 5, 6]
    case("pad_conv", shape, [pad("x"), conv()], constants)
    case("pad_conv_stride_same", shape, [pad("x"), conv(auto_pad="SAME_UPPER", strides=[2, 2])], constants)
    case("pad_conv_pads", shape, [pad("x"), conv(pads=[1, 0, 1, 1])], constants)
    case("pad_conv_fill", shape, [pad("x", "f"), conv()], {**constants, **fill})
    case("pad_relu_conv_fill", shape, [node("Relu", ["x"], "r"), pad("r", "f"), conv(strides=[2, 2])], {**constants, **fill})
    case("pad_attributes", shape, [node("Pad", ["x"], "e", pads=border.tolist(), value=-0.4), conv()],
         {key: constants[key] for key in ["cw", "cb"]}, opset=10)
    case("pad_axes", shape, [pad("x", "", "ax"), conv()],
         {**constants, "p": np.array([2, 1, 0, 1]), "ax": np.array([-1, 2])}, opset=18)
    case("pad_nothing", shape, [pad("x"), node("Relu", ["e"], "y")], {"p": np.zeros(8, np.int64)})
    case("pad_shared", shape, [node("Relu", ["x"], "r"), pad("r"), node("Conv", ["e", "cw", "cb"], "c"),
                               node("Conv", ["r", "cw", "cb"], "d", pads=[1, 2, 2, 0]), node("Add", ["c", "d"], "y")], constants)
    pool = lambda kind, **more: node(kind, ["e"], "y", kernel_shape=[3, 3], strides=[2, 2], **more)
    relu = node("Relu", ["x"], "r")
    only = {"p": border}
    case("pad_max_pool", shape, [relu, pad("r"), pool("MaxPool")], only)
    case("pad_max_pool_twice", shape, [relu, node("MaxPool", ["r"], "m", kernel_shape=[2, 2]), pad("m"), pool("MaxPool", pads=[0, 0, 0, 1])],
         only)
    case("pad_max_pool_least", shape, [pad("x", "f"), pool("MaxPool")], {**only, "f": np.float32(-np.inf)})
    case("pad_average_pool", shape, [pad("x"), pool("AveragePool")], only)
    case("pad_average_pool_counted", shape, [pad("x"), pool("AveragePool", pads=[1, 0, 0, 1], count_include_pad=1)], only, opset=19)
    case("pad_average_pool_ceil", shape, [pad("x"), pool("AveragePool", ceil_mode=1)], only, opset=19)
    for kind in ["Max", "Average"]:
        large = dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        case(f"{kind.lower()}_pool_over_image", [2, 2, 2], [node(f"{kind}Pool", ["x"], "y", **large)], opset=19)
        case(f"{kind.lower()}_pool_over_rows", [2, 2, 5], [node(f"{kind}Pool", ["x"], "y", **large)], opset=19)


def inputs():
    """Inputs of other types, and those whose channels are the last axis."""
    w = {"w": numbers(6, 3)}
    product = node("MatMul", ["a", "w"], "y")
    for name, dtype, kind in [("uint8", np.uint8, TensorProto.UINT8), ("int8", np.int8, TensorProto.INT8),
                              ("int32", np.int32, TensorProto.INT32)]:
        x = RNG.integers(0, 100, size=(1, 6)).astype(dtype)
        case(f"{name}_input", [6], [node("Cast", ["x"], "f", to=1), node("Mul", ["f", "k"], "a"), product],
             {**w, "k": np.float32(1 / 255)}, x=x, kind=kind)
    bytes_ = RNG.integers(0, 256, size=(1, 6)).astype(np.uint8)
    case("byte_input_dequantized", [6], [node("DequantizeLinear", ["x", "s", "z"], "a"), product],
         {**w, "s": np.float32(0.02), "z": np.uint8(128)}, x=bytes_, kind=TensorProto.UINT8)
    case("byte_image", [4, 4, 2],
         [node("Cast", ["x"], "c", to=6), node("Cast", ["c"], "f", to=1), node("Transpose", ["f"], "t", perm=[0, 3, 1, 2]),
          node("Conv", ["t", "cw"], "y")], {"cw": numbers(3, 2, 2, 2, scale=0.01)},
         x=RNG.integers(0, 256, size=(1, 4, 4, 2)).astype(np.uint8), kind=TensorProto.UINT8,
         stored=lambda x: x.transpose(0, 3, 1, 2))
    coefficients = dict(coefficients=numbers(18).tolist(), intercepts=numbers(3).tolist())
    whole = RNG.integers(-20, 20, size=(1, 6)).astype(np.int64)
    case("whole_features", [6],
         [node("Scaler", ["x"], "s", domain="ai.onnx.ml", offset=[1.0], scale=[0.5]),
          node("LinearRegressor", ["s"], "y", domain="ai.onnx.ml", targets=3, **coefficients)],
         x=whole, kind=TensorProto.INT64, domains=["ai.onnx.ml"])
    first = node("Transpose", ["x"], "t", perm=[0, 3, 1, 2])
    conv = node("Conv", ["t", "cw", "cb"], "c", pads=[1, 1, 1, 1])
    back = node("Transpose", ["c"], "b", perm=[0, 2, 3, 1])
    constants = {"cw": numbers(4, 3, 3, 3, scale=0.3), "cb": numbers(4)}
    flat = {"s": np.array([-1, 80]), "u": numbers(80, 3, scale=0.2)}
    last = [node("Reshape", ["r", "s"], "f"), node("MatMul", ["f", "u"], "y")]
    stored = lambda x: x.transpose(0, 3, 1, 2)
    relu = node("Relu", ["b"], "r")
    case("last_channels", [5, 4, 3], [first, conv, back, relu, *last], {**constants, **flat}, stored=stored)
    case("last_channels_scaled", [5, 4, 3],
         [node("Mul", ["x", "k"], "m"), node("Sub", ["m", "d"], "n"), node("Transpose", ["n"], "t", perm=[0, 3, 1, 2]), conv, back, relu, *last],
         {**constants, **flat, "k": np.float32(0.5), "d": np.array([0.4, 0.5, -0.6], np.float32)}, stored=stored)
    case("last_channels_padded", [5, 4, 3],
         [node("Pad", ["x", "p"], "n"), node("Transpose", ["n"], "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "cw", "cb"], "y")],
         {**constants, "p": np.array([0, 1, 0, 0, 0, 0, 2, 0])}, stored=stored)
    case("last_channels_mean", [5, 4, 3],
         [first, conv, back, relu, node("ReduceMean", ["r"], "f", axes=[1, 2], keepdims=0), node("MatMul", ["f", "u"], "y")],
         {**constants, "u": numbers(4, 3)}, stored=stored)
    case("last_channels_mean_kept", [5, 4, 3],
         [first, conv, back, relu, node("ReduceMean", ["r"], "f", axes=[-2, 1]), node("Mul", ["f", "k"], "m"), node("Flatten", ["m"], "g"),
          node("MatMul", ["g", "u"], "y")], {**constants, "u": numbers(4, 3), "k": numbers(4)}, stored=stored)
    case("last_channels_also_flat", [5, 4, 3],
         [first, conv, back, node("Reshape", ["b", "s"], "f"), node("MatMul", ["f", "u"], "m"), node("Reshape", ["x", "q"], "g"),
          node("MatMul", ["g", "v"], "n"), node("Add", ["m", "n"], "y")],
         {"cw": numbers(1, 3, 3, 3, scale=0.3), "cb": numbers(1), "s": np.array([-1, 20]), "u": numbers(20, 2), "q": np.array([-1, 60]),
          "v": numbers(60, 2)}, stored=stored)


def slopes():
    after_conv("prelu_channels", [node("PRelu", ["c", "k"], "y")], {"k": numbers(3, 1, 1)})
    after_conv("prelu_channels_conv", [node("PRelu", ["c", "k"], "r"), node("Conv", ["r", "w2"], "y")],
               {"k": numbers(3, 1, 1), "w2": numbers(2, 3, 2, 2)})
    case("prelu_elements", [4], [node("MatMul", ["x", "w"], "a"), node("PRelu", ["a", "k"], "b"), node("MatMul", ["b", "u"], "y")],
         {"w": numbers(4, 5), "k": numbers(5), "u": numbers(5, 3)})
    gemm = node("Gemm", ["t", "w", "b"], "y", transA=1, alpha=0.5)
    weights = {"w": numbers(6, 4), "b": numbers(4)}
    case("gemm_trans_a", [6], [node("Transpose", ["x"], "t", perm=[1, 0]), gemm], weights)
    case("gemm_trans_a_column", [6], [node("Reshape", ["x", "s"], "t"), gemm], {**weights, "s": np.array([6, 1])}, batch=1)
    case("transposed_twice", [6], [node("Transpose", ["x"], "t"), node("Transpose", ["t"], "u"), node("MatMul", ["u", "w"], "y")],
         {"w": weights["w"]})


def dead_channels():
    sign = lambda inp, out: node("BipolarQuant", [inp, "one"], out, domain="onnx.brevitas")
    signs = lambda x: np.where(x >= 0, 1.0, -1.0).astype(np.float32)
    w, u = signs(numbers(6, 4)), numbers(4, 3)
    norm = {"s": np.array([1, 1e-7, 1, -1], np.float32), "t": numbers(4), "m": numbers(4), "v": np.abs(numbers(4)) + 4}
    def expected(x):
        normed = (signs(x) @ w - norm["m"]) * norm["s"] / np.sqrt(norm["v"] + 1e-5) + norm["t"]
        return signs(normed) @ u
    case("near_dead_norm", [6],
         [sign("x", "a"), node("MatMul", ["a", "w"], "b"), node("BatchNormalization", ["b", *norm], "n"), sign("n", "q"),
          node("MatMul", ["q", "u"], "y")],
         {"one": np.float32(1), "w": w, "u": u, **norm}, domains=["onnx.brevitas"], expected=expected)
    case("sign_of_line", [6],
         [node("Mul", ["x", "two"], "d"), node("Sub", ["d", "one"], "e"), sign("e", "a"), node("MatMul", ["a", "w"], "b"),
          node("BatchNormalization", ["b", *norm], "n"), sign("n", "q"), node("MatMul", ["q", "u"], "y")],
         {"one": np.float32(1), "two": np.float32(2), "w": w, "u": u, **norm}, domains=["onnx.brevitas"],
         expected=lambda x: expected(2 * x - 1))
    # The first channel is zero behind the ReLU, and the norm makes a thousand times that of it.
    w, u = numbers(6, 3), numbers(3, 2)
    w[:, 0] = 0
    norm = {"s": numbers(3), "t": numbers(3), "m": np.array([0, 0.2, 0.1], np.float32), "v": np.array([0, 0.5, 0.7], np.float32)}
    case("norm_of_dead", [6],
         [node("Gemm", ["x", "w", "b"], "a"), node("Relu", ["a"], "r"), node("BatchNormalization", ["r", *norm], "n", epsilon=1e-6),
          node("MatMul", ["n", "u"], "y")], {"w": w, "u": u, "b": np.array([-1, 0.5, 0.2], np.float32), **norm})


def whole_numbers():
    after_conv("pow_whole", [node("Pow", ["c", "p"], "y")], {"p": np.int64(2)})
    after_conv("pow_whole_32", [node("Pow", ["c", "p"], "y")], {"p": np.array([3], np.int32)})
    after_conv("pow_of_constant", [node("Pow", ["k", "p"], "q"), node("Mul", ["c", "q"], "y")], {"k": numbers(3, 1, 1), "p": np.int64(2)})
    after_conv("cast_truth", [node("Cast", ["k"], "b", to=TensorProto.BOOL), node("Cast", ["b"], "q", to=1), node("Mul", ["c", "q"], "y")],
               {"k": np.array([[[0.5]], [[-7]], [[0]]], np.float32)})
    after_conv("cast_constant", [node("Cast", ["k"], "q", to=1), node("Mul", ["c", "q"], "y")], {"k": np.array([[[2]], [[-3]], [[4]]])})
    for dtype in [np.int64, np.int32]:
        attributes = dict(domain="qonnx.custom_op.general", signed=1, narrow=0, rounding_mode="ROUND")
        weights = numbers(6, 3)
        case(f"quant_parameters_{dtype.__name__}", [6],
             [node("Quant", ["wf", "s", "z", "b"], "w", **attributes), node("Quant", ["x", "s", "z", "b"], "a", **attributes),
              node("MatMul", ["a", "w"], "y")],
             {"s": np.float32(0.25), "z": dtype(0), "b": np.array([4], dtype), "wf": weights}, domains=["qonnx.custom_op.general"],
             expected=lambda x: quant(x, 0.25, 0, 4, 1, 0) @ quant(weights, 0.25, 0, 4, 1, 0))
    chain = [node("Flatten", ["d"], "f"), node("MatMul", ["f", "u"], "y")]
    fc = {"u": numbers(12, 2)}
    drop = lambda **more: ([node("Dropout", ["c", "r", "t"], "d"), *chain], {**fc, **more})
    for name, (nodes, constants) in {
        "dropout_inference": drop(r=np.float32(0.5), t=np.array(False)),
        "dropout_of_nothing": drop(r=np.float32(0), t=np.array(True)),
    }.items():
        after_conv(name, nodes, constants, shape=(2, 2, 2))


def refusals():
    w = {"w": numbers(4, 6)}
    some = lambda *indices: {"i": np.array(indices)}
    behind = lambda name, words, nodes, constants=(), **more: refused(name, words, [4], [*SOFTMAX, *nodes], {**w, **dict(constants)}, **more)
    behind("label_of_halves", "all classes", [node("Reshape", ["s", "t"], "h"), node("ArgMax", ["h"], "y", axis=1)], {"t": np.array([2, 3])},
           batch=1)
    least = helper.make_node("TopK", ["s", "k"], ["v", "y"], largest=0)
    behind("least_score", "largest", [least, node("Cast", ["y"], "z", to=1)], {"k": np.array([1])})
    behind("second_best", "another class", [helper.make_node("TopK", ["s", "k"], ["v", "b"]), node("Gather", ["b", "i"], "y", axis=1)],
           {"k": np.array([2]), **some(1)})
    behind("last_index", "select_last_index", [node("ArgMax", ["s"], "y", axis=1, select_last_index=1)])
    behind("whole_scores", "integers", [node("Cast", ["s"], "y", to=TensorProto.INT64)])
    behind("small_labels", "cast", [node("ArgMax", ["s"], "l", axis=1), node("Gather", ["n", "l"], "m"), node("Cast", ["m"], "y", to=TensorProto.UINT8)],
           {"n": np.arange(6) * 100})
    behind("classes_twice", "class 4", [node("ArgMax", ["s"], "l", axis=1), node("Gather", ["n", "l"], "y")], {"n": np.array([1, 2, 3, 4, 4, 5])})
    behind("few_classes", "a list of 3 classes for 6 outputs", [node("ArgMax", ["s"], "l", axis=1), node("Gather", ["n", "l"], "y")],
           {"n": np.array([1, 2, 3])})
    image = [2, 4, 4]
    conv = {"cw": numbers(3, 2, 3, 3)}
    refused("cast_wraps", "casts 300", image,
            [node("Conv", ["x", "cw"], "c"), node("Cast", ["k"], "b", to=TensorProto.INT8), node("Cast", ["b"], "q", to=1), node("Mul", ["c", "q"], "y")],
            {**conv, "k": np.array([300])})
    refused("dropout_training", "training_mode", image, [node("Dropout", ["x", "r", "t"], "d"), node("Conv", ["d", "cw"], "y")],
            {**conv, "r": np.float32(0.5), "t": np.array(True)})
    refused("gather_of_batch", "batch", [4], [node("Gather", ["x", "i"], "g", axis=0), node("MatMul", ["g", "w"], "y")], {**w, **some(0)})
    refused("pad_mode", "mode", image, [node("Pad", ["x", "p"], "e", mode="mirror"), node("Conv", ["e", "cw"], "y")],
            {**conv, "p": np.array([0, 0, 1, 1, 0, 0, 1, 1])})
    refused("pad_of_batch", "batch", image, [node("Pad", ["x", "p"], "e"), node("Conv", ["e", "cw"], "y")],
            {**conv, "p": np.array([0, 0, 0, 0, 1, 0, 0, 0])}, batch=1)
    refused("resize_batch", "batch", image, [node("Resize", ["x", "", "s"], "r"), node("Conv", ["r", "cw"], "y")],
            {**conv, "s": np.array([2, 1, 2, 2], np.float32)})
    refused("concat_batch", "batch", [4], [node("Concat", ["x", "x"], "c", axis=0), node("MatMul", ["c", "w"], "y")], w)
    refused("split_parts", "parts", [4], [helper.make_node("Split", ["x", "n"], ["a", "b"], axis=1), node("Concat", ["a", "b"], "c", axis=1), node("MatMul", ["c", "w"], "y")],
            {**w, "n": np.array([1, 2])})
    refused("reduce_batch", "batch", image, [node("ReduceSum", ["x", "a"], "r"), node("Conv", ["r", "cw"], "y")], {**conv, "a": np.array([0])})
    refused("blocks_of_channels", "blocks of 3", image, [node("DepthToSpace", ["x"], "y", blocksize=3)])
    refused("gelu_kind", "approximation", image, [node("Gelu", ["x"], "y", approximate="fast")], opset=20)
    refused("conv_groups", "groups", image, [node("ConvTranspose", ["x", "cw"], "y", group=3)], conv)
    refused("dilated_kernel", "kernel of 5", image, [node("MaxPool", ["x"], "y", kernel_shape=[3, 3], dilations=[2, 2])])
    refused("trans_a", "transA", [4], [node("Gemm", ["x", "w"], "y", transA=1)], w, batch=4)
    refused("unknown_attribute", "colour", image, [node("Conv", ["x", "cw"], "y", colour=1)], conv)
    refused("unknown_input", "4 inputs", image, [node("Conv", ["x", "cw", "", "k"], "y")], {**conv, "k": numbers(3)})
    refused("integer_sum", "integers", [4], [node("Add", ["x", "k"], "a"), node("Cast", ["a"], "f", to=1), node("MatMul", ["f", "w"], "y")],
            {**w, "k": np.uint8(200)}, kind=TensorProto.UINT8)
    refused("pool_over_image", "kernel of 4", [2, 2, 2], [node("MaxPool", ["x"], "y", kernel_shape=[4, 4], strides=[2, 2], ceil_mode=1)])


# Behind a function; drawn in `main`.
OUT = {}


def element_wise():
    """Functions of single elements, behind a convolution and before one."""
    def function(name, nodes, constants=(), opset=20):
        case(f"function_{name}", [2, 4, 4], [node("Conv", ["x", "cw", "cb"], "c"), *nodes, node("Conv", ["f", "ow"], "y")], {**CONV, **OUT, **dict(constants)}, opset)

    def single(operator, name=None, opset=20, **attributes):
        function(name or operator.lower(), [node(operator, ["c"], "f", **attributes)], opset=opset)

    for operator in ["Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "Mish", "Round", "Selu", "Shrink", "Sign", "Sin", "Softplus", "Softsign", "Celu", "Gelu", "ThresholdedRelu"]:
        single(operator)
    single("Elu", "elu_alpha", alpha=0.3)
    single("Celu", "celu_alpha", alpha=2.0)
    single("Selu", "selu_numbers", alpha=1.5, gamma=2.0)
    single("Shrink", "shrink_soft", lambd=0.4, bias=0.4)
    single("ThresholdedRelu", "threshold", alpha=0.2)
    single("Gelu", "gelu_tanh", approximate="tanh")
    half, one, root = {"h": np.float32(0.5)}, {"o": np.float32(1)}, {"q": np.float32(np.sqrt(2))}
    function("gelu_parts", [node("Div", ["c", "q"], "d"), node("Erf", ["d"], "e"), node("Add", ["e", "o"], "a"), node("Mul", ["c", "a"], "m"), node("Mul", ["m", "h"], "f")],
             {**half, **one, **root})
    function("gelu_tanh_parts", [node("Pow", ["c", "t"], "p"), node("Mul", ["p", "k"], "m"), node("Add", ["c", "m"], "a"), node("Mul", ["a", "s"], "i"), node("Tanh", ["i"], "j"), node("Add", ["j", "o"], "b"), node("Mul", ["c", "h"], "g"), node("Mul", ["g", "b"], "f")],
             {**half, **one, "t": np.float32(3), "k": np.float32(0.044715), "s": np.float32(np.sqrt(2 / np.pi))})
    function("silu", [node("Sigmoid", ["c"], "s"), node("Mul", ["c", "s"], "f")])
    function("mish_parts", [node("Softplus", ["c"], "s"), node("Tanh", ["s"], "t"), node("Mul", ["c", "t"], "f")])
    function("softsign_parts", [node("Abs", ["c"], "a"), node("Add", ["a", "o"], "b"), node("Div", ["c", "b"], "f")], one)
    square = [node("Mul", ["c", "c"], "q"), node("Add", ["q", "o"], "p")]
    for operator in ["Sqrt", "Log", "Reciprocal"]:
        function(f"{operator.lower()}_of_square", [*square, node(operator, ["p"], "f")], one)
    function("divided", [*square, node("Div", ["o", "p"], "f")], one)
    function("root_of_power", [*square, node("Pow", ["p", "h"], "f")], {**one, "h": np.float32(-1.5)})
    function("power_of_two", [node("Pow", ["t", "c"], "f")], {"t": np.float32(2)})
    zero = {"z": np.float32(0.1)}
    for operator in ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
        function(operator.lower(), [node(operator, ["c", "z"], "g"), node("Cast", ["g"], "f", to=1)], zero)
    function("equal", [node("Round", ["c"], "r"), node("Equal", ["r", "o"], "g"), node("Not", ["g"], "n"), node("Cast", ["n"], "f", to=1)], one)
    both = [node("Greater", ["c", "z"], "g"), node("Less", ["c", "o"], "l")]
    for operator in ["And", "Or", "Xor"]:
        function(operator.lower(), [*both, node(operator, ["g", "l"], "b"), node("Cast", ["b"], "f", to=1)], {**zero, **one})
    function("where", [node("Greater", ["c", "z"], "g"), node("Exp", ["c"], "e"), node("Where", ["g", "c", "e"], "f")], zero)
    function("where_number", [node("Less", ["c", "z"], "g"), node("Where", ["g", "o", "c"], "f")], {**zero, **one})
    function("maximum_channels", [node("Max", ["c", "k"], "f")], {"k": numbers(3, 1, 1)})
    function("greater_channels", [node("Greater", ["c", "k"], "g"), node("Cast", ["g"], "f", to=1)], {"k": numbers(3, 1, 1)})
    function("elements", [node("Mul", ["c", "k"], "m"), node("Add", ["m", "b"], "f")], {"k": numbers(3, 2, 2), "b": numbers(1, 3, 2, 2)})
    two = [node("Conv", ["x", "dw"], "d")]
    for operator in ["Max", "Min", "Mean"]:
        function(f"{operator.lower()}_of_two", [*two, node(operator, ["c", "d"], "f")], {"dw": numbers(3, 2, 3, 3)})
    function("max_of_three", [*two, node("Max", ["c", "z", "d"], "f")], {**zero, "dw": numbers(3, 2, 3, 3)})


def linear_maps():
    """Whatever is a sparse matrix: windows of any form, and elements moved, joined and added up."""
    def rows(name, shape, weights, **attributes):
        constants = {"w": numbers(*weights, scale=0.5), "b": numbers(weights[0])}
        case(f"conv_{name}", shape, [node("Conv", ["x", "w", "b"], "y", **attributes)], constants)

    rows("rows", [2, 7], [3, 2, 3], pads=[1, 0], strides=[2])
    rows("rows_dilated", [2, 9], [3, 2, 3], pads=[2, 2], dilations=[2])
    rows("rows_groups", [4, 6], [4, 1, 2], group=4)
    rows("dilated", [2, 6, 6], [3, 2, 3, 2], dilations=[2, 3], pads=[2, 1, 0, 1])
    rows("volume", [2, 3, 4, 3], [3, 2, 2, 2, 2], strides=[1, 2, 1], pads=[0, 0, 1, 0, 0, 1])
    rows("volume_groups", [2, 3, 3, 3], [4, 1, 2, 2, 2], group=2)

    def transposed(name, shape, weights, group=1, **attributes):
        constants = {"w": numbers(*weights, scale=0.5), "b": numbers(weights[1] * group)}
        case(f"conv_transpose_{name}", shape, [node("ConvTranspose", ["x", "w", "b"], "y", group=group, **attributes)], constants)

    transposed("plain", [2, 3, 3], [2, 3, 3, 3])
    transposed("stride", [2, 3, 3], [2, 3, 2, 2], strides=[2, 2])
    transposed("wide_stride", [2, 2, 3], [2, 2, 2, 1], strides=[3, 2], output_padding=[1, 0])
    transposed("pads", [2, 4, 4], [2, 3, 3, 3], strides=[2, 2], pads=[1, 0, 1, 2], output_padding=[1, 1])
    transposed("dilated_groups", [4, 3, 3], [4, 1, 2, 2], group=2, dilations=[2, 1])
    transposed("output_shape", [1, 3, 3], [1, 2, 3, 3], strides=[2, 2], output_shape=[6, 6])
    transposed("same", [1, 3, 3], [1, 2, 3, 3], strides=[2, 2], auto_pad="SAME_LOWER")
    transposed("rows", [2, 4], [2, 3, 3], strides=[2])
    transposed("volume", [1, 2, 2, 2], [1, 2, 2, 2, 2], strides=[2, 1, 2])
    norm = {"g": np.abs(numbers(3)), "h": numbers(3), "m": numbers(3), "v": np.abs(numbers(3)) + 0.5}
    case("conv_transpose_norms", [3, 2, 2],
         [node("BatchNormalization", ["x", "g", "h", "m", "v"], "n"), node("ConvTranspose", ["n", "w"], "c", strides=[2, 2], pads=[1, 1, 0, 0]), node("BatchNormalization", ["c", "g", "h", "m", "v"], "y")],
         {**norm, "w": numbers(3, 3, 2, 2)})

    relu = node("Relu", ["x"], "r")
    for operator in ["AveragePool", "MaxPool"]:
        name = f"{operator[:-4].lower()}_pool"
        pool = lambda more, shape, **attributes: case(f"{name}_{more}", shape, [relu, node(operator, ["r"], "y", **attributes)], opset=20)
        pool("rows", [2, 7], kernel_shape=[3], strides=[2], pads=[1, 1])
        pool("volume", [2, 3, 4, 4], kernel_shape=[2, 2, 3], pads=[0, 1, 1, 0, 0, 1])
        pool("dilated", [2, 6, 6], kernel_shape=[2, 3], dilations=[3, 2], pads=[0, 1, 0, 1], ceil_mode=1, strides=[1, 2])
        case(f"global_{name}_rows", [3, 5], [relu, node(f"Global{operator}", ["r"], "y")])
        case(f"global_{name}_volume", [2, 2, 3, 2], [relu, node(f"Global{operator}", ["r"], "y")])
    case("average_pool_volume_counted", [2, 3, 4, 4], [node("AveragePool", ["x"], "y", kernel_shape=[2, 2, 3], pads=[0, 1, 1, 0, 0, 1], count_include_pad=1, ceil_mode=1, strides=[2, 2, 2])], opset=19)

    image = [2, 4, 4]
    conv = {"cw": numbers(3, 2, 3, 3)}
    ends = lambda *nodes: [*nodes, node("Conv", ["e", "cw"], "y")]
    pads = lambda *widths: {"p": np.array(widths)}
    frame = pads(0, 0, 1, 1, 0, 0, 1, 1)
    fill = {"f": np.float32(0.7)}
    pad = lambda **more: node("Pad", ["x", "p", "f"], "e", **more)
    for mode in ["reflect", "edge", "wrap"]:
        case(f"pad_{mode}", image, ends(node("Pad", ["x", "p"], "e", mode=mode)), {**conv, **pads(0, 0, 2, 1, 0, 0, 0, 3)}, opset=19)
    case("pad_cuts", [2, 5, 5], ends(pad()), {**conv, **fill, **pads(0, 0, -1, 1, 0, 0, 0, -1)})
    case("pad_of_channels", image, ends(pad()), {"cw": numbers(3, 4, 3, 3), **fill, **pads(0, 1, 0, 0, 0, 1, 0, 0)})
    case("pad_of_list", [4], [pad(), node("MatMul", ["e", "w"], "y")], {"w": numbers(7, 3), **fill, **pads(0, 2, 0, 1)})
    case("pad_function", image, [pad(), node("Relu", ["e"], "y")], {**frame, **fill})
    case("pad_max_pool_beside", image, [pad(), node("MaxPool", ["e"], "y", kernel_shape=[2, 2])], {**frame, **fill})
    case("pad_average_fill", image, [pad(), node("AveragePool", ["e"], "y", kernel_shape=[2, 2])], {**frame, **fill})
    case("pad_average_beside", image, [pad(), node("AveragePool", ["e"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], {**frame, **fill})
    case("pad_conv_beside", image, [pad(), node("Conv", ["e", "cw"], "y", pads=[1, 1, 1, 1])], {**conv, **frame, **fill})
    case("pad_dilated_conv", image, [pad(), node("Conv", ["e", "cw"], "y", dilations=[2, 2])], {**conv, **frame, **fill})

    some = lambda *indices: {"i": np.array(indices)}
    case("gather_channels", image, ends(node("Gather", ["x", "i"], "e", axis=1)), {**conv, **some(1, 0)})
    case("gather_rows", image, ends(node("Gather", ["x", "i"], "e", axis=2)), {**conv, **some(3, 0, 0, -1)})
    case("gather_row", image, [node("Gather", ["x", "i"], "e", axis=2), node("Flatten", ["e"], "g"), node("MatMul", ["g", "w"], "y")], {"w": numbers(8, 2), "i": np.array(1)})
    case("slice_image", [2, 6, 6], ends(node("Slice", ["x", "s", "t", "a", "d"], "e")),
         {**conv, "s": np.array([5, 0]), "t": np.array([-7, 5]), "a": np.array([2, 3]), "d": np.array([-2, 1])})
    split = helper.make_node("Split", ["x", "n"], ["a", "b"], axis=2)
    case("split_joined", image, [split, node("Concat", ["b", "a"], "e", axis=2), node("Conv", ["e", "cw"], "y")], {**conv, "n": np.array([1, 3])})
    case("split_attribute", image, [helper.make_node("Split", ["x"], ["a", "b"], axis=1, split=[1, 1]), node("Sub", ["a", "b"], "y")], opset=11)
    case("expand", [2, 1, 4], ends(node("Expand", ["x", "s"], "e")), {**conv, "s": np.array([1, 1, 3, 1])})
    case("tile", [1, 2, 4], ends(node("Tile", ["x", "s"], "e")), {**conv, "s": np.array([1, 2, 2, 1])})
    three = [node("Conv", ["x", "cw"], "a"), node("Relu", ["a"], "b"), node("Conv", ["x", "dw"], "d")]
    case("concat_branches", image, [*three, node("Concat", ["b", "d", "a"], "e", axis=1), node("Conv", ["e", "ew"], "y")],
         {**conv, "dw": numbers(2, 2, 3, 3), "ew": numbers(2, 8, 2, 2)})
    case("concat_constant", image, ends(node("Concat", ["x", "k"], "e", axis=2)), {**conv, "k": numbers(1, 2, 1, 4)})
    case("concat_lists", [4], [node("MatMul", ["x", "v"], "a"), node("Tanh", ["a"], "b"), node("Concat", ["x", "b"], "e", axis=1), node("MatMul", ["e", "w"], "y")],
         {"v": numbers(4, 3), "w": numbers(7, 2)})
    case("depth_to_space", [8, 2, 2], ends(node("DepthToSpace", ["x"], "e", blocksize=2)), conv)
    case("depth_to_space_crd", [8, 2, 2], ends(node("DepthToSpace", ["x"], "e", blocksize=2, mode="CRD")), conv)
    case("space_to_depth", [2, 4, 4], [node("SpaceToDepth", ["x"], "e", blocksize=2), node("Conv", ["e", "cw"], "y")], {"cw": numbers(2, 8, 2, 2)})
    case("reshape_to_image", [4], [node("MatMul", ["x", "w"], "a"), node("Reshape", ["a", "t"], "e"), node("Conv", ["e", "cw"], "y")],
         {"w": numbers(4, 18), "t": np.array([-1, 2, 3, 3]), **conv})
    case("transpose_before_conv", [4, 2, 4], ends(node("Transpose", ["x"], "e", perm=[0, 2, 1, 3])), conv)
    case("sum_of_transposed", [3, 3], [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("Add", ["x", "t"], "y")])
    case("sum_over_rows", image, [node("ReduceMean", ["x"], "m", axes=[2]), node("Sub", ["x", "m"], "e"), node("Conv", ["e", "cw"], "y")], conv)
    for name, operator, axes, keep in [("rows", "ReduceSum", [2], 1), ("channels", "ReduceSum", [1], 0), ("all", "ReduceSum", [1, 2, 3], 0)]:
        case(f"reduce_sum_{name}", image, [node(operator, ["x", "a"], "y", keepdims=keep)], {"a": np.array(axes)})
    case("reduce_mean_channels", image, [node("ReduceMean", ["x", "a"], "y", keepdims=0)], {"a": np.array([-3, 3])}, opset=18)
    for operator in ["ReduceMax", "ReduceMin"]:
        case(operator.lower(), image, [node(operator, ["x"], "y", axes=[1, -1])])
    for name, shape, more in [
        ("nearest", [2, 2, 3], {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
        ("nearest_default", [2, 2, 3], {}),
        ("linear", [2, 3, 2], {"mode": "linear"}),
        ("linear_corners", [2, 3, 2], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
        ("linear_pytorch", [1, 2, 3], {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}),
    ]:
        case(f"resize_{name}", shape, [relu, node("Resize", ["r", "", "s"], "y", **more)], {"s": np.array([1, 1, 2, 2], np.float32)})
    case("resize_sizes", [2, 3, 4], [relu, node("Resize", ["r", "", "", "s"], "y", mode="linear")], {"s": np.array([1, 2, 5, 3])})
    case("resize_axes", [2, 3, 4], [relu, node("Resize", ["r", "", "s"], "y", axes=[3, 2], nearest_mode="ceil")], {"s": np.array([1.5, 2], np.float32)}, opset=18)
    case("resize_opset_10", [2, 3, 2], [relu, node("Resize", ["r", "s"], "y", mode="linear")], {"s": np.array([1, 1, 2, 2], np.float32)}, opset=10)
    case("upsample", [2, 2, 3], [relu, node("Upsample", ["r", "s"], "y")], {"s": np.array([1, 1, 2, 3], np.float32)}, opset=9)
    case("mat_mul_of_rows", [3, 4], [node("MatMul", ["x", "w"], "a"), node("Add", ["a", "b"], "c"), node("Relu", ["c"], "r"), node("MatMul", ["r", "v"], "y")],
         {"w": numbers(4, 5), "b": numbers(5), "v": numbers(5, 2)})
    case("mat_mul_of_rows_and_places", [3, 4], [node("Add", ["x", "p"], "a"), node("MatMul", ["a", "w"], "b"), node("Transpose", ["b"], "t", perm=[0, 2, 1]), node("MatMul", ["t", "v"], "y")],
         {"p": numbers(1, 3, 4), "w": numbers(4, 5), "v": numbers(3, 2)})


def last_bits():
    """What a last bit, an old operator set or a shape that spreads decides."""
    relu = node("Relu", ["x"], "r")
    scales = lambda scale: {"s": np.array([1, 1, 1, scale], np.float32)}
    floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    case("resize_opset_10_shrinks", [1, 2, 10], [relu, node("Resize", ["r", "s"], "y")], scales(0.6), opset=10)
    case("resize_shrinks", [1, 2, 10], [relu, node("Resize", ["r", "", "s"], "y", **floor)], scales(0.6))
    case("resize_of_seven_tenths", [1, 2, 10], [relu, node("Resize", ["r", "", "s"], "y", **floor)], scales(0.7))
    case("pad_wrap_cuts", [2, 5], [relu, node("Pad", ["r", "p"], "y", mode="wrap")], {"p": np.array([0, 0, -1, 0, 0, 2])}, opset=19)
    case("shrink_of_negative", [6], [relu, node("Add", ["r", "k"], "a"), node("Shrink", ["a"], "y", lambd=-0.5, bias=0.3)], {"k": np.full(6, -0.4, np.float32)})
    image = [1, 2, 2]
    tall = {"k": np.full((3, 1, 1), 0.5, np.float32), "z": np.float32(0)}
    for operator in ["Max", "Min", "Pow"]:
        case(f"{operator.lower()}_spreads", image, [node("Relu", ["x"], "r"), node(operator, ["r", "k"], "y")], tall)
    case("where_spreads", image, [node("Greater", ["x", "z"], "g"), node("Where", ["g", "x", "k"], "y")], tall)
    most = {"n": np.array([2**63 - 1, 2**63 - 1, 7])}
    refused("split_wraps", "parts", [5], [helper.make_node("Split", ["x", "n"], ["a", "b", "y"], axis=1)], most)


def several_inputs():
    """Files of several inputs, which are one list here, one after the other."""
    def several(name, shapes, nodes, constants=(), kinds=None):
        kinds = kinds or [TensorProto.FLOAT] * len(shapes)
        tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in dict(constants).items()]
        infos = [helper.make_tensor_value_info(f"x{i}", kind, ["N", *shape])
                 for i, (shape, kind) in enumerate(zip(shapes, kinds))]
        output = helper.make_empty_tensor_value_info(nodes[-1].output[0])
        graph = helper.make_graph(nodes, name, infos, [output], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        xs = [numbers(1, *shape) if kind == TensorProto.FLOAT else RNG.integers(0, 9, size=(1, *shape)).astype(np.int64)
              for shape, kind in zip(shapes, kinds)]
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        [y] = session.run(None, {f"x{i}": x for i, x in enumerate(xs)})
        keep(name, model, np.concatenate([x.ravel() for x in xs]), y)

    w = {"w": numbers(5, 3), "v": numbers(4, 3), "u": numbers(11, 3)}
    several("two_inputs_summed", [[5], [5]], [node("Sub", ["x0", "x1"], "a"), node("MatMul", ["a", "w"], "y")], w)
    several("two_inputs_projected", [[5], [4]],
            [node("MatMul", ["x0", "w"], "a"), node("MatMul", ["x1", "v"], "b"), node("Add", ["a", "b"], "y")], w)
    several("image_and_features", [[2, 4, 4], [5]],
            [node("Conv", ["x0", "cw"], "c"), node("Relu", ["c"], "r"), node("GlobalAveragePool", ["r"], "g"),
             node("Flatten", ["g"], "f"), node("Concat", ["x1", "f"], "a", axis=1), node("MatMul", ["a", "u"], "y")],
            {**w, "cw": numbers(6, 2, 3, 3)})
    several("one_input_unread", [[5], [4]], [node("MatMul", ["x0", "w"], "a"), node("Relu", ["a"], "y")], w)
    several("largest_of_two_inputs", [[5], [5]], [node("Max", ["x0", "x1"], "a"), node("MatMul", ["a", "w"], "y")], w)
    several("floats_and_whole_numbers", [[5], [4]],
            [node("MatMul", ["x0", "w"], "a"), node("Cast", ["x1"], "i", to=1), node("MatMul", ["i", "v"], "b"),
             node("Add", ["a", "b"], "y")], w, [TensorProto.FLOAT, TensorProto.INT64])

    # Its length is open, for tests that give it.
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "length"])
    tanh = helper.make_graph([node("Tanh", ["x"], "y")], "open", [info], [helper.make_empty_tensor_value_info("y")])
    write("open_axes", helper.make_model(tanh, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def at_the_client():
    """Operators without an encrypted form, between layers and at the end."""
    w = {"w": numbers(4, 6), "z": np.float32(0)}
    scores = lambda name, nodes, constants=(): case(name, [4], [*SOFTMAX, *nodes], {**w, **dict(constants)})
    scores("client_one_probability", [node("Gather", ["s", "i"], "y", axis=1)], {"i": np.array(3)})
    scores("client_scaled_scores", [node("Mul", ["s", "k"], "y")], {"k": numbers(6)})
    case("client_best_score", [4], [*SOFTMAX, helper.make_node("TopK", ["s", "k"], ["y", "unread"])], {**w, "k": np.array([1])})
    case("client_choice_by_another", [4], [node("MatMul", ["x", "w"], "a"), node("MatMul", ["x", "v"], "b"), node("Greater", ["a", "z"], "g"), node("Where", ["g", "b", "z"], "y")],
         {**w, "v": numbers(4, 6)})
    tokens = [5, 6]
    square = lambda name, size=6: {name: numbers(size, size, scale=0.5)}
    case("client_layer_norm", tokens, [node("MatMul", ["x", "a"], "m"), node("LayerNormalization", ["m", "g", "b"], "n", axis=-1, epsilon=1e-5), node("MatMul", ["n", "c"], "y")],
         {**square("a"), **square("c"), "g": numbers(6), "b": numbers(6)})
    two = {"axes": np.array([-1]), "e": np.float32(1e-5)}
    case("client_layer_norm_spelled", tokens,
         [node("ReduceMean", ["x"], "m", axes=[-1]), node("Sub", ["x", "m"], "d"), node("Mul", ["d", "d"], "q"), node("ReduceMean", ["q"], "v", axes=[-1]),
          node("Add", ["v", "e"], "u"), node("Sqrt", ["u"], "s"), node("Div", ["d", "s"], "n"), node("MatMul", ["n", "a"], "y")], {**two, **square("a")})
    case("client_rms_norm", tokens, [node("RMSNormalization", ["x", "g"], "n"), node("MatMul", ["n", "a"], "y")], {**square("a"), "g": numbers(6)}, opset=23)
    image = [4, 5, 6]
    conv = {"cw": numbers(4, 4, 3, 3, scale=0.5)}
    case("client_instance_norm", image, [node("Conv", ["x", "cw"], "c"), node("InstanceNormalization", ["c", "g", "b"], "n"), node("Conv", ["n", "cw"], "y")],
         {**conv, "g": numbers(4), "b": numbers(4)})
    case("client_group_norm", image,
         [node("Reshape", ["x", "grouped"], "r"), node("InstanceNormalization", ["r", "one", "zero"], "n"), node("Reshape", ["n", "whole"], "w"), node("Mul", ["w", "g"], "m"), node("Conv", ["m", "cw"], "y")],
         {**conv, "grouped": np.array([0, 2, -1]), "whole": np.array([1, 4, 5, 6]), "one": np.ones(2, np.float32), "zero": np.zeros(2, np.float32), "g": numbers(4, 1, 1)})
    case("client_local_response", image, [node("Relu", ["x"], "r"), node("Mul", ["r", "r"], "q"), node("AveragePool", ["q"], "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Add", ["a", "k"], "b"), node("Pow", ["b", "p"], "d"), node("Div", ["r", "d"], "y")],
         {"k": np.float32(1), "p": np.float32(0.75)})
    case("client_softmax_of_rows", tokens, [node("Softmax", ["x"], "s", axis=-1), node("MatMul", ["s", "a"], "y")], square("a"))
    case("client_softmax_of_columns", tokens, [node("Softmax", ["x"], "s", axis=1), node("MatMul", ["s", "a"], "y")], square("a"))
    case("client_log_sum", tokens, [node("ReduceLogSumExp", ["x"], "s", axes=[2], keepdims=0), node("MatMul", ["s", "a"], "y")], {"a": numbers(5, 3)})
    case("client_softmax_older", tokens, [node("Softmax", ["x"], "s", axis=2), node("MatMul", ["s", "a"], "y")], square("a"), opset=11)
    case("client_gate", [4, 3, 3], [node("Conv", ["x", "gw"], "c"), node("Sigmoid", ["c"], "s"), node("Mul", ["x", "s"], "m"), node("Conv", ["m", "gw"], "y")], {"gw": numbers(4, 4, 1, 1)})
    case("client_quotient", [4], [node("MatMul", ["x", "a"], "m"), node("Exp", ["m"], "e"), node("Div", ["x", "e"], "d"), node("MatMul", ["d", "w"], "y")], {**w, **square("a", 4)})
    refused("resize_cubic", "mode", [2, 4, 4], [node("Resize", ["x", "", "s"], "r", mode="cubic"), node("Conv", ["r", "rw"], "y")],
         {"rw": numbers(3, 2, 3, 3), "s": np.array([1, 1, 2, 2], np.float32)})
    case("client_einsum", tokens, [node("Einsum", ["x", "x"], "e", equation="bij,bkj->bik"), node("MatMul", ["e", "a"], "y")], {"a": numbers(5, 3)})
    case("client_running_sum", tokens, [node("CumSum", ["x", "i"], "c"), node("MatMul", ["c", "a"], "y")], {**square("a"), "i": np.array(1)})
    case("client_best_two", tokens, [helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=2), node("MatMul", ["v", "a"], "y")], {"k": np.array([2]), "a": numbers(2, 3)})
    case("client_angles", [4], [node("MatMul", ["x", "a"], "m"), node("Sin", ["m"], "s"), node("Cos", ["m"], "c"), node("Mul", ["s", "c"], "p"), node("MatMul", ["p", "w"], "y")], {**w, **square("a", 4)})
    attention(tokens)
    recurrent(tokens)
    words()
    branches(tokens)
    refused("client_over_batch", "batch", tokens, [node("Softmax", ["x"], "s", axis=0), node("MatMul", ["s", "a"], "y")], square("a"))
    refused("client_einsum_over_batch", "batch", tokens, [node("Einsum", ["x", "x"], "e", equation="bij,bkj->ik"), node("MatMul", ["e", "a"], "y")], {"a": numbers(5, 3)})
    refused("client_spread", "several images", [4], [node("Relu", ["x"], "r"), node("Mul", ["k", "r"], "y")], {"k": numbers(3, 4)}, batch=3)
    refused("client_least", "largest", [4], [node("MatMul", ["x", "w"], "m"), node("ArgMin", ["m"], "y", axis=1)], w)
    refused("client_unknown", "Hardmax", tokens, [node("Hardmax", ["x"], "h", axis=1), node("MatMul", ["h", "a"], "y")], square("a"))


def attention(tokens):
    """Attention in several spellings: images first, sequence first, with a mask, as one operator."""
    count, width = tokens
    project = {key: numbers(width, width, scale=0.5) for key in ["q", "k", "v", "o"]}
    heads = {"split": np.array([1, count, 2, width // 2]), "joined": np.array([1, count, width])}
    scale = {"root": np.float32((width // 2) ** -0.5)}
    projected = [node("MatMul", ["x", key], f"{key}0") for key in "qkv"]
    head = lambda key, perm: [node("Reshape", [f"{key}0", "split"], f"{key}1"), node("Transpose", [f"{key}1"], f"{key}2", perm=perm)]
    attended = [*head("q", [0, 2, 1, 3]), *head("k", [0, 2, 3, 1]), *head("v", [0, 2, 1, 3]), node("MatMul", ["q2", "k2"], "s0"), node("Mul", ["s0", "root"], "s1")]
    ending = [node("MatMul", ["p", "v2"], "t0"), node("Transpose", ["t0"], "t1", perm=[0, 2, 1, 3]), node("Reshape", ["t1", "joined"], "t2"), node("MatMul", ["t2", "o"], "t3"), node("Add", ["x", "t3"], "y")]
    case("client_attention", tokens, [*projected, *attended, node("Softmax", ["s1"], "p", axis=-1), *ending], {**project, **heads, **scale})
    mask = np.triu(np.full((count, count), -np.inf, np.float32), 1)
    case("client_attention_masked", tokens, [*projected, *attended, node("Add", ["s1", "mask"], "s2"), node("Softmax", ["s2"], "p", axis=-1), *ending],
         {**project, **heads, **scale, "mask": mask})
    allowed = np.tril(np.ones((count, count), bool))
    case("client_attention_chosen", tokens, [*projected, *attended, node("Where", ["allowed", "s1", "low"], "s2"), node("Softmax", ["s2"], "p", axis=-1), *ending],
         {**project, **heads, **scale, "allowed": allowed, "low": np.float32(-1e9)})
    # As PyTorch has it: the sequence before the batch, all projections in one.
    first = [node("Transpose", ["x"], "x1", perm=[1, 0, 2]), node("MatMul", ["x1", "in"], "m"), node("Add", ["m", "bias"], "n"), helper.make_node("Split", ["n", "parts"], ["q0", "k0", "v0"], axis=2)]
    turned = [step for key in "qkv" for step in [node("Reshape", [f"{key}0", "heads"], f"{key}1"), node("Transpose", [f"{key}1"], f"{key}2", perm=[1, 0, 2] if key != "k" else [1, 2, 0])]]
    case("client_attention_sequence_first", tokens,
         [*first, *turned, node("MatMul", ["q2", "k2"], "s0"), node("Mul", ["s0", "root"], "s1"), node("Softmax", ["s1"], "p", axis=-1), node("MatMul", ["p", "v2"], "t0"),
          node("Transpose", ["t0"], "t1", perm=[1, 0, 2]), node("Reshape", ["t1", "rows"], "t2"), node("Gemm", ["t2", "o", "ob"], "t3", transB=1), node("Reshape", ["t3", "sequence"], "t4"),
          node("Transpose", ["t4"], "t5", perm=[1, 0, 2]), node("Add", ["x", "t5"], "y")],
         {**scale, "in": numbers(width, 3 * width, scale=0.5), "bias": numbers(3 * width), "parts": np.array([width] * 3), "heads": np.array([count, 2, width // 2]), "rows": np.array([count, width]),
          "o": project["o"], "ob": numbers(width), "sequence": np.array([count, 1, width])})
    expected = lambda x: run(network("", tokens, [*projected, *attended, node("Softmax", ["s1"], "p", axis=-1), node("MatMul", ["p", "v2"], "t0"), node("Transpose", ["t0"], "t1", perm=[0, 2, 1, 3]),
                                                  node("Reshape", ["t1", "joined"], "y")], {**project, **heads, **scale}), x)[0]
    case("client_attention_operator", tokens, [*projected, node("Attention", ["q0", "k0", "v0"], "y", q_num_heads=2, kv_num_heads=2)], project, opset=23, expected=expected)


def recurrent(tokens):
    """Recurrent layers, the sequence first."""
    count, width = tokens
    turn = [node("Transpose", ["x"], "t", perm=[1, 0, 2])]
    back = [node("Squeeze", ["r", "one"], "q"), node("Transpose", ["q"], "b", perm=[1, 0, 2]), node("MatMul", ["b", "a"], "y")]
    for operator, gates in [("LSTM", 4), ("GRU", 3)]:
        case(f"client_{operator.lower()}", tokens, [*turn, helper.make_node(operator, ["t", "wi", "wh", "wb"], ["r"], hidden_size=3, **({"linear_before_reset": 1} if gates == 3 else {})), *back],
             {"wi": numbers(1, gates * 3, width, scale=0.3), "wh": numbers(1, gates * 3, 3, scale=0.3), "wb": numbers(1, gates * 6, scale=0.3), "one": np.array([1]), "a": numbers(3, 2)})


def words():
    """Whole numbers that choose rows of a table."""
    table = {"table": numbers(9, 4), "place": numbers(5, 4), "a": numbers(4, 3), "pool": np.array([1])}
    x = np.array([[3, 0, 8, 3, 1]])
    embedded = [node("Gather", ["table", "x"], "e"), node("Add", ["e", "place"], "p"), node("MatMul", ["p", "a"], "m"), node("ReduceMean", ["m"], "y", axes=[1], keepdims=0)]
    case("client_words", [5], embedded, table, kind=TensorProto.INT64, x=x)
    marked = [node("Equal", ["x", "padding"], "u"), node("Not", ["u"], "k"), node("Cast", ["k"], "kf", to=1), node("Unsqueeze", ["kf", "last"], "kk"), node("Gather", ["table", "x"], "e"), node("Mul", ["e", "kk"], "p"),
              node("MatMul", ["p", "a"], "m"), node("ReduceSum", ["m", "pool"], "s", keepdims=0), node("Relu", ["s"], "y")]
    case("client_words_marked", [5], marked, {**table, "padding": np.array(0), "last": np.array([-1])}, kind=TensorProto.INT64, x=x)


def branches(tokens):
    """Branches of which one runs, whatever the image."""
    count, width = tokens
    output = lambda name: helper.make_empty_tensor_value_info(name)
    squeezed = helper.make_graph([node("Squeeze", ["u", "one"], "o")], "then", [], [output("o")], [numpy_helper.from_array(np.array([1]), "one")])
    same = helper.make_graph([node("Identity", ["u"], "o")], "else", [], [output("o")])
    shape = [node("Unsqueeze", ["x", "axis"], "u"), node("Shape", ["u"], "h"), node("Gather", ["h", "axis0"], "n"), node("Equal", ["n", "wanted"], "c"),
             helper.make_node("If", ["c"], ["i"], then_branch=squeezed, else_branch=same)]
    for name, wanted in [("then", 1), ("else", 2)]:
        case(f"branch_{name}", tokens, [*shape, node("MatMul", ["i", "a"], "y")],
             {"axis": np.array([1]), "axis0": np.array(1), "wanted": np.array(wanted), "a": numbers(width, 3)}, batch=1)
    refused("branch_open", "condition", [1], [node("Squeeze", ["x", "all"], "q"), node("Cast", ["q"], "c", to=9), node("Unsqueeze", ["x", "axis"], "u"), helper.make_node("If", ["c"], ["y"], then_branch=squeezed, else_branch=same)],
            {"axis": np.array([1]), "all": np.array([0, 1])}, batch=1)


def main():
    for make in [convolutions, matrix_products, affine, pools, functions, residuals, reshapes, tails, linear_quantisers, qonnx]:
        make()
    path = FOLDER / "cases.json"
    try:
        scikit_learn()
        scikit_learn_classes()
    except ImportError:
        old = json.loads(path.read_text()) if path.exists() else []
        CASES.extend(case for case in old if case["name"].startswith("sklearn_"))
    # Numbers of their own, whether scikit-learn has drawn any or not.
    global RNG
    RNG = np.random.default_rng(2027)
    for make in [picks, labels, paddings, inputs, slopes, dead_channels, whole_numbers, refusals]:
        make()
    RNG = np.random.default_rng(2028)
    OUT["ow"] = numbers(2, 3, 1, 1)
    for make in [element_wise, linear_maps]:
        make()
    RNG = np.random.default_rng(2029)
    last_bits()
    RNG = np.random.default_rng(2030)
    several_inputs()
    RNG = np.random.default_rng(2031)
    at_the_client()
    for kept, name in [(CASES, "cases"), (REFUSALS, "refusals")]:
        lines = ",\n".join(json.dumps(case) for case in kept)
        (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    print(f"{len(CASES)} cases, {size} bytes")


if __name__ == "__main__":
    main()

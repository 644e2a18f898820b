//! Models for the tests of hostile files, put together out of the schema's messages.

use splitbench::core::onnx_schema::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};

pub fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(attribute_type::INTS),
        ..AttributeProto::default()
    }
}

pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(attribute_type::INT),
        ..AttributeProto::default()
    }
}

/// Returns a node `n` that makes `output`.
pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        name: Some("n".into()),
        op_type: Some(operator.into()),
        ..NodeProto::default()
    }
}

pub fn with(attributes: &[AttributeProto], node: NodeProto) -> NodeProto {
    NodeProto {
        attribute: attributes.to_vec(),
        ..node
    }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(data_type::FLOAT),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn whole(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        data_type: Some(data_type::INT64),
        int64_data: values.to_vec(),
        ..floats(name, dims, &[])
    }
}

pub fn value_info(name: &str, sizes: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| DimensionProto {
        dim_value: Some(size),
        dim_param: None,
    };
    let shape = TensorShapeProto {
        dim: sizes.iter().map(dim).collect(),
    };
    let tensor_type = TensorTypeProto {
        elem_type: Some(data_type::FLOAT),
        shape: Some(shape),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
    }
}

/// Returns a model from `x` to `y`.
pub fn model(sizes: &[i64], nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        graph: Some(GraphProto {
            node: nodes,
            name: Some("g".into()),
            initializer,
            input: vec![value_info("x", sizes)],
            output: vec![value_info("y", &[1, 1])],
            sparse_initializer: vec![],
        }),
        opset_import: vec![OperatorSetId {
            domain: None,
            version: Some(17),
        }],
    }
}

/// Returns a model that reads well.
pub fn valid() -> ModelProto {
    let nodes = vec![
        node("MatMul", &["x", "w"], "a"),
        node("Relu", &["a"], "r"),
        node("MatMul", &["r", "v"], "y"),
    ];
    let weights = floats("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    model(
        &[1, 2],
        nodes,
        vec![weights, floats("v", &[3, 1], &[1.0, -1.0, 0.5])],
    )
}

/// Returns a model of one convolution with these settings over an image of one channel.
fn conv(size: i64, attributes: &[AttributeProto], kernel: &[i64]) -> ModelProto {
    let count = kernel.iter().product::<i64>().clamp(0, 1024) as usize;
    let weights = floats("w", kernel, &vec![1.0; count]);
    let conv = with(attributes, node("Conv", &["x", "w"], "y"));
    model(&[1, 1, size, size], vec![conv], vec![weights])
}

fn pool(attributes: &[AttributeProto]) -> ModelProto {
    let pool = with(attributes, node("MaxPool", &["x"], "y"));
    model(&[1, 1, 4, 4], vec![pool], vec![])
}

/// Hostile models: a name, the model, and words that the refusal holds.
pub fn hostile_models() -> Vec<(&'static str, ModelProto, &'static [&'static str])> {
    let one = || floats("w", &[2, 1], &[1.0, 1.0]);
    let product = || node("MatMul", &["x", "w"], "y");
    let of_shape = |dims: &[i64]| model(&[1, 2], vec![product()], vec![floats("w", dims, &[1.0])]);
    let simple = |nodes: Vec<NodeProto>| model(&[1, 2], nodes, vec![one()]);
    let kernel = &[1, 1, 3, 3][..];
    let mut cases = vec![
        ("empty_graph", simple(vec![]), &["\"y\""][..]),
        (
            "no_graph",
            ModelProto {
                graph: None,
                ..valid()
            },
            &["no graph"],
        ),
        (
            "no_opset",
            ModelProto {
                opset_import: vec![],
                ..valid()
            },
            &["version"],
        ),
        (
            "huge_dims",
            of_shape(&[1 << 40, 1 << 40]),
            &["\"w\"", "elements"],
        ),
        ("huge_dim", of_shape(&[1 << 40]), &["\"w\"", "elements"]),
        ("negative_dim", of_shape(&[-2, -1]), &["\"w\"", "-2"]),
        ("many_dims", of_shape(&[1; 100]), &["\"w\"", "100 axes"]),
        (
            "too_few_numbers",
            of_shape(&[2, 1]),
            &["\"w\"", "1 numbers"],
        ),
        (
            "large_claim",
            of_shape(&[1 << 14, 1 << 14]),
            &["\"w\"", "numbers"],
        ),
        (
            "huge_input",
            model(&[1, 1 << 40], vec![product()], vec![one()]),
            &["\"x\""],
        ),
        (
            "no_input_size",
            model(&[1, 0], vec![product()], vec![one()]),
            &["\"x\"", "size"],
        ),
        (
            "cycle",
            simple(vec![
                node("Add", &["x", "b"], "a"),
                node("Relu", &["a"], "b"),
                node("Relu", &["b"], "y"),
            ]),
            &["node \"n\"", "cycle"],
        ),
        (
            "own_input",
            simple(vec![node("Relu", &["y"], "y")]),
            &["cycle"],
        ),
        (
            "made_twice",
            simple(vec![product(), node("Relu", &["x"], "y")]),
            &["\"y\"", "elsewhere"],
        ),
        (
            "initialiser_made",
            simple(vec![product(), node("Relu", &["x"], "w")]),
            &["\"w\"", "elsewhere"],
        ),
        (
            "initialiser_twice",
            model(&[1, 2], vec![product()], vec![one(), one()]),
            &["\"w\"", "two"],
        ),
        (
            "missing_initialiser",
            model(&[1, 2], vec![product()], vec![]),
            &["node \"n\" (MatMul)", "\"w\""],
        ),
        (
            "missing_output",
            simple(vec![node("Relu", &["x"], "z")]),
            &["\"y\""],
        ),
        (
            "output_is_constant",
            simple(vec![node("Identity", &["w"], "y")]),
            &["depend"],
        ),
        (
            "not_a_number",
            model(
                &[1, 2],
                vec![product()],
                vec![floats("w", &[2, 1], &[1.0, f32::NAN])],
            ),
            &["\"w\"", "NaN"],
        ),
        (
            "infinite",
            model(
                &[1, 2],
                vec![product()],
                vec![floats("w", &[2, 1], &[1.0, f32::INFINITY])],
            ),
            &["(MatMul)", "infinite"],
        ),
        (
            "unknown_operator",
            simple(vec![node("Frobnicate\n\"", &["x"], "y")]),
            &["node \"n\"", "Frobnicate\\n"],
        ),
        (
            "unknown_domain",
            simple(vec![NodeProto {
                domain: Some("a.b".into()),
                ..product()
            }]),
            &["\"a.b\""],
        ),
        (
            "no_inputs",
            simple(vec![node("MatMul", &[], "y")]),
            &["node \"n\"", "no input 0"],
        ),
        (
            "wrong_width",
            model(&[1, 3], vec![product()], vec![one()]),
            &["node \"n\"", "3 inputs"],
        ),
        ("loop", simple(vec![node("Loop", &["x"], "y")]), &["Loop"]),
        (
            "stride_0",
            conv(8, &[integers("strides", &[0, 1])], kernel),
            &["node \"n\" (Conv)", "strides"],
        ),
        (
            "stride_negative",
            conv(8, &[integers("strides", &[-1, 1])], kernel),
            &["strides"],
        ),
        (
            "dilation_4",
            conv(8, &[integers("dilations", &[4, 4])], kernel),
            &["node \"n\" (Conv)", "kernel of 9"],
        ),
        (
            "dilation_0",
            conv(8, &[integers("dilations", &[0, 1])], kernel),
            &["dilations"],
        ),
        (
            "dilation_huge",
            conv(8, &[integers("dilations", &[1 << 16, 1])], kernel),
            &["kernel of"],
        ),
        (
            "pads_huge",
            conv(8, &[integers("pads", &[i64::MAX; 4])], kernel),
            &["pads"],
        ),
        (
            "pads_large",
            conv(8, &[integers("pads", &[60_000; 4])], kernel),
            &["padding"],
        ),
        (
            "pads_negative",
            conv(8, &[integers("pads", &[-1, 0, 0, 0])], kernel),
            &["pads"],
        ),
        (
            "pads_of_two",
            conv(8, &[integers("pads", &[1, 1])], kernel),
            &["pads"],
        ),
        ("kernel_larger", conv(2, &[], kernel), &["kernel"]),
        (
            "kernel_differs",
            conv(8, &[integers("kernel_shape", &[2, 2])], kernel),
            &["kernel_shape"],
        ),
        ("kernel_0", conv(8, &[], &[1, 1, 0, 3]), &["kernel"]),
        ("no_channels", conv(8, &[], &[0, 1, 3, 3]), &["zero"]),
        (
            "group_0",
            conv(8, &[integer("group", 0)], kernel),
            &["group"],
        ),
        (
            "group_huge",
            conv(8, &[integer("group", i64::MAX)], kernel),
            &["groups"],
        ),
        (
            "conv_1d",
            conv(8, &[], &[1, 1, 3]),
            &["3 axes for a value of 4"],
        ),
        ("image_large", conv(1 << 13, &[], kernel), &["elements"]),
        (
            "channels_many",
            conv(4096, &[], &[1024, 1, 1, 1]),
            &["elements"],
        ),
        (
            "pool_kernel_0",
            pool(&[integers("kernel_shape", &[0, 0])]),
            &["kernel"],
        ),
        ("pool_no_kernel", pool(&[]), &["kernel_shape"]),
        (
            "pool_padding",
            pool(&[integers("kernel_shape", &[2, 2]), integers("pads", &[2; 4])]),
            &["padding"],
        ),
        (
            "attribute_twice",
            conv(8, &[integer("group", 1), integer("group", 1)], kernel),
            &["\"group\""],
        ),
        (
            "attribute_type",
            conv(8, &[integers("group", &[1])], kernel),
            &["group"],
        ),
    ];
    cases.extend(hostile_constants());
    cases
}

/// Hostile models whose constants are to be computed.
fn hostile_constants() -> Vec<(&'static str, ModelProto, &'static [&'static str])> {
    let reshape = |target: &[i64]| {
        let nodes = vec![node("Reshape", &["x", "s"], "a"), node("Relu", &["a"], "y")];
        model(
            &[1, 2],
            nodes,
            vec![whole("s", &[target.len() as i64], target)],
        )
    };
    let filled = |sizes: &[i64]| {
        let nodes = vec![
            node("ConstantOfShape", &["s"], "c"),
            node("Add", &["x", "c"], "y"),
        ];
        model(
            &[1, 2],
            nodes,
            vec![whole("s", &[sizes.len() as i64], sizes)],
        )
    };
    // Each node doubles what the one before made.
    let name = |index: usize| {
        if index == 0 {
            "w".to_owned()
        } else {
            format!("d{index}")
        }
    };
    let doubled = |index: usize| {
        let input = name(index);
        with(
            &[integer("axis", 0)],
            node("Concat", &[&input, &input], &name(index + 1)),
        )
    };
    let mut doubling: Vec<NodeProto> = (0..60).map(doubled).collect();
    doubling.push(node("MatMul", &["x", "d60"], "y"));
    let outer = vec![
        node("Add", &["w", "v"], "a"),
        node("MatMul", &["x", "a"], "y"),
    ];
    let many = vec![1.0; 200];
    let scaled = vec![node("Div", &["x", "w"], "y")];
    vec![
        (
            "reshape_overflow",
            reshape(&[i64::MAX, i64::MAX]),
            &["node \"n\" (Reshape)"][..],
        ),
        (
            "reshape_negative",
            reshape(&[-1, -1]),
            &["node \"n\" (Reshape)"],
        ),
        ("reshape_nothing", reshape(&[]), &["no axes"]),
        (
            "filled_huge",
            filled(&[1 << 30, 1 << 30]),
            &["node \"n\" (ConstantOfShape)"],
        ),
        (
            "filled_large",
            filled(&[1 << 27]),
            &["node \"n\" (ConstantOfShape)", "more numbers"],
        ),
        (
            "doubling",
            model(&[1, 2], doubling, vec![floats("w", &[2, 1], &[1.0, 1.0])]),
            &["Concat", "more numbers"],
        ),
        (
            "outer_sum",
            model(
                &[1, 2],
                outer,
                vec![
                    floats("w", &[200, 1, 1, 1], &many),
                    floats("v", &[1, 200, 200], &vec![1.0; 40_000]),
                ],
            ),
            &["(Add)", "more numbers"],
        ),
        (
            "division_by_zero",
            model(&[1, 2], scaled, vec![floats("w", &[1], &[0.0])]),
            &["zero"],
        ),
    ]
}

//! The words that a person types for a choice, most with a line of help.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::core::objective::Objective;
use crate::core::placement::Party;
use crate::import::quantise::calibration::RangeMethod;
use crate::model::Granularity;
use crate::model::answer::Answer;
use crate::model::protection::Protection;
use crate::record::download::Download;
use crate::record::order::Order;
use crate::report::export::Format;

/// Gives each value of a type its word and its help.
macro_rules! words {
    ($name:ident { $($value:ident $word:literal $($help:literal)?)* }) => {
        impl ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$value),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$value => PossibleValue::new($word)$(.help($help))?,)*
                })
            }
        }
    };
}

words!(Party {
    Client "client"
    Server "server"
});

words!(Objective {
    Time "time" "Seconds of an inference in the scenario"
    ClientMemory "client-memory" "The client's peak resident set"
    ServerMemory "server-memory" "The server's peak resident set"
    Bytes "bytes" "Bytes of an inference, its part of the keys included"
    Exposure "exposure" "The fraction of the model that the client ends up with"
    Money "money" "Of 1,000 inferences"
});

words!(Granularity {
    Block "block" "A residual block, or an operation outside of one"
    Layer "layer" "An operation. A skip whose ends lie on different parties crosses by itself"
});

words!(Answer {
    Logits "logits" "The output of the last layer"
    Label "label" "A one for the class with the largest logit, the first of equals, and zeros for all others: compared under encryption"
});

words!(Protection {
    None "none" "Answers travel as the last layer leaves them"
    Rerandomise "rerandomise" "Answers that are linear combinations get an encryption of zero and flooding noise"
    Bootstrap "bootstrap" "Every answer goes through a look-up, so that it is no linear combination of ciphertexts that the client made. That alone is not circuit privacy: a look-up is deterministic, and its output's noise depends on its input (Ducas and Stehlé, Sanitization of FHE Ciphertexts, Eurocrypt 2016)"
    Gate "gate" "Every uploaded value goes through a look-up first, so that whatever the client encrypts, the layers read one of the integers that it may honestly send. Answers travel as the last layer leaves them"
});

words!(Download {
    Plain "plain" "As the last layer leaves them: no further key, no further time, no further noise"
    Packed "packed" "Under a shared mask, by a packing keyswitch with a key of its own"
    Full "full" "As LWE ciphertexts of whole 64-bit coefficients, one for each answer, from linear layers that are exact modulo 2^64: what a straightforward implementation sends, to compare with"
});

words!(Order {
    Seeded "seeded" "Shuffled, another way in each round, so that a drift of the machine falls on no split"
    Forwards "forwards" "As listed"
    Backwards "backwards" "As listed, last first"
});

words!(Format {
    Latex "latex"
    Markdown "markdown"
    Csv "csv"
});

words!(RangeMethod {
    Mse "mse" "The range with the least mean squared error (Banner et al., NeurIPS 2019, and others)"
    MinMax "min-max" "From the least to the greatest value that was seen"
    Percentile "percentile" "All but one in ten thousand values at either end"
});

#[cfg(test)]
mod tests {
    use super::*;

    fn words<T: ValueEnum>() -> Vec<String> {
        let values = T::value_variants().iter();
        let names = values.filter_map(ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect()
    }

    /// Returns the values as files hold them.
    fn written<T: ValueEnum + serde::Serialize>() -> Vec<String> {
        let values = T::value_variants().iter();
        let json = values.map(|value| serde_json::to_string(value).expect("a word"));
        json.map(|word| word.trim_matches('"').replace('_', "-"))
            .collect()
    }

    #[test]
    fn what_a_person_types_is_what_files_hold() {
        assert_eq!(words::<Granularity>(), written::<Granularity>());
        assert_eq!(words::<Answer>(), written::<Answer>());
        assert_eq!(words::<Protection>(), written::<Protection>());
        assert_eq!(words::<Download>(), written::<Download>());
        assert_eq!(words::<Order>(), written::<Order>());
        assert_eq!(words::<RangeMethod>(), written::<RangeMethod>());
        for value in Answer::value_variants() {
            assert!(words::<Answer>().contains(&value.word().to_owned()));
        }
    }
}

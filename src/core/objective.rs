//! What a choice among splits can make small.

/// What to make small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objective {
    /// Seconds of an inference in the scenario.
    Time,
    /// The client's peak resident set.
    ClientMemory,
    /// The server's peak resident set.
    ServerMemory,
    /// Bytes of an inference, its part of the keys included.
    Bytes,
    /// The fraction of the model that the client ends up with.
    Exposure,
    /// Of 1,000 inferences.
    Money,
}

impl Objective {
    /// Returns what a split with a larger value is.
    pub fn worse(self) -> &'static str {
        match self {
            Self::Time => "slower",
            Self::ClientMemory => "larger on the client",
            Self::ServerMemory => "larger on the server",
            Self::Bytes => "more bytes",
            Self::Exposure => "gives away more",
            Self::Money => "dearer",
        }
    }

    /// Returns what is made small, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::ClientMemory => "client memory",
            Self::ServerMemory => "server memory",
            Self::Bytes => "bytes",
            Self::Exposure => "exposure",
            Self::Money => "money",
        }
    }
}

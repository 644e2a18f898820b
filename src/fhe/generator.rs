//! The bytes of tfhe's pseudo-random generator, AES-128 in counter mode, handed out faster.
//!
//! tfhe's own generator counts where in the stream it is with each byte, which takes most of the time
//! of making and expanding keys. This one runs the same block cipher, and counts with each batch of
//! 128 bytes. The stream is the same, byte for byte, and so is how it forks.

use tfhe_csprng::generators::aes_ctr::{
    AES_CALLS_PER_BATCH, Aes128Key, AesBlockCipher, AesCtrParams, BYTES_PER_AES_CALL,
    BYTES_PER_BATCH, TableIndex,
};
use tfhe_csprng::generators::default::DefaultAes128BlockCipher;
use tfhe_csprng::generators::{
    ByteCount, BytesPerChild, ChildrenCount, ForkError, ParallelRandomGenerator, RandomGenerator,
};
use tfhe_csprng::seeders::SeedKind;

/// A stretch of a seed's stream of bytes.
#[derive(Clone)]
pub struct BatchGenerator {
    cipher: DefaultAes128BlockCipher,
    batch: [u8; BYTES_PER_BATCH],
    /// The next byte in the batch, and the end of those that are part of the stretch.
    next: usize,
    end: usize,
    /// Where in the stream the bytes after those of the batch lie, and where the stretch ends.
    position: u128,
    bound: u128,
}

impl BatchGenerator {
    fn of(cipher: DefaultAes128BlockCipher, position: u128, bound: u128) -> Self {
        Self {
            cipher,
            batch: [0; BYTES_PER_BATCH],
            next: 0,
            end: 0,
            position,
            bound,
        }
    }

    /// Returns where in the stream the next byte lies.
    fn place(&self) -> u128 {
        self.position - (self.end - self.next) as u128
    }

    /// Fills the batch; `None` at the end of the stretch.
    #[cold]
    fn refill(&mut self) -> Option<()> {
        let left = self.bound - self.position;
        if left == 0 {
            return None;
        }
        let block_bytes = BYTES_PER_AES_CALL as u128;
        let first = self.position / block_bytes;
        let counters: [u128; AES_CALLS_PER_BATCH] =
            std::array::from_fn(|index| (first + index as u128).to_le());
        self.batch = self.cipher.generate_batch(counters);
        self.next = (self.position % block_bytes) as usize;
        let count = left.min((BYTES_PER_BATCH - self.next) as u128);
        self.end = self.next + count as usize;
        self.position += count;
        Some(())
    }

    /// Takes stretches of so many bytes each off the beginning.
    fn fork(
        &mut self,
        ChildrenCount(count): ChildrenCount,
        BytesPerChild(bytes): BytesPerChild,
    ) -> Result<Vec<Self>, ForkError> {
        if count == 0 {
            return Err(ForkError::ZeroChildrenCount);
        }
        if bytes == 0 {
            return Err(ForkError::ZeroBytesPerChild);
        }
        let (first, bytes) = (self.place(), u128::from(bytes));
        let all = u128::from(count) * bytes;
        if self.bound - first < all {
            return Err(ForkError::ForkTooLarge);
        }
        let starts = (0..u128::from(count)).map(|index| first + index * bytes);
        let children = starts
            .map(|start| Self::of(self.cipher.clone(), start, start + bytes))
            .collect();
        *self = Self::of(self.cipher.clone(), first + all, self.bound);
        Ok(children)
    }
}

impl Iterator for BatchGenerator {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if self.next == self.end {
            self.refill()?;
        }
        let byte = self.batch[self.next];
        self.next += 1;
        Some(byte)
    }
}

impl RandomGenerator for BatchGenerator {
    type ChildrenIter = std::vec::IntoIter<Self>;

    /// # Panics
    ///
    /// Panics where the seed is one of an extendable output function, which nothing here makes.
    fn new(params: impl Into<AesCtrParams>) -> Self {
        let AesCtrParams { seed, first_index } = params.into();
        let SeedKind::Ctr(seed) = seed else {
            panic!("a seed of 128 bits");
        };
        let Some(ByteCount(position)) = TableIndex::distance(&first_index, &TableIndex::FIRST)
        else {
            unreachable!("no index comes before the first");
        };
        let cipher = DefaultAes128BlockCipher::new(Aes128Key::new(u128::from_le(seed.0)));
        Self::of(cipher, position, u128::MAX)
    }

    fn remaining_bytes(&self) -> ByteCount {
        ByteCount(self.bound - self.place())
    }

    fn next_table_index(&self) -> Option<TableIndex> {
        (self.place() < self.bound).then(|| TableIndex::FIRST.increased(self.place()))
    }

    fn try_fork(
        &mut self,
        count: ChildrenCount,
        bytes: BytesPerChild,
    ) -> Result<Self::ChildrenIter, ForkError> {
        self.fork(count, bytes).map(Vec::into_iter)
    }
}

impl ParallelRandomGenerator for BatchGenerator {
    type ParChildrenIter = rayon::vec::IntoIter<Self>;

    fn par_try_fork(
        &mut self,
        count: ChildrenCount,
        bytes: BytesPerChild,
    ) -> Result<Self::ParChildrenIter, ForkError> {
        use rayon::iter::IntoParallelIterator;
        self.fork(count, bytes).map(Vec::into_par_iter)
    }
}

#[cfg(test)]
mod tests {
    use tfhe_csprng::generators::DefaultRandomGenerator;
    use tfhe_csprng::seeders::Seed;

    use super::*;

    /// What a generator gives from a seed: some bytes, then those of forks of forks, then more.
    fn told<G: RandomGenerator>(seed: u128) -> Vec<u8> {
        let mut generator = G::new(Seed(seed));
        let mut bytes: Vec<u8> = generator.by_ref().take(1000).collect();
        for (children, of_each) in [(1, 1), (3, 16), (5, 130), (2, 77)] {
            let forked = generator.try_fork(ChildrenCount(children), BytesPerChild(of_each));
            for mut child in forked.expect("room") {
                let index = child.next_table_index();
                let grandchildren = child.try_fork(ChildrenCount(1), BytesPerChild(1));
                bytes.extend(grandchildren.expect("room").flatten());
                bytes.extend(child.by_ref());
                assert_eq!(child.remaining_bytes().0, 0);
                assert_eq!(child.next_table_index(), None);
                let start = index.expect("bytes");
                bytes.extend(
                    G::new(AesCtrParams {
                        seed: Seed(seed).into(),
                        first_index: start,
                    })
                    .take(9),
                );
            }
            bytes.extend(generator.by_ref().take(7));
        }
        bytes
    }

    #[test]
    fn bytes_and_forks_are_those_of_tfhe() {
        for seed in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let (ours, theirs) = (
                told::<BatchGenerator>(seed),
                told::<DefaultRandomGenerator>(seed),
            );
            assert_eq!(ours, theirs, "{seed}");
        }
    }

    #[test]
    fn forks_beyond_the_stretch_are_refused() {
        let mut generator = BatchGenerator::new(Seed(7));
        let children = generator.try_fork(ChildrenCount(1), BytesPerChild(10));
        let mut child = children.expect("room").next().expect("one");
        for (count, bytes) in [(0, 1), (1, 0), (2, 6), (11, 1), (u64::MAX, u64::MAX)] {
            let refused = child.try_fork(ChildrenCount(count), BytesPerChild(bytes));
            assert!(refused.is_err(), "{count} of {bytes}");
        }
        assert_eq!(child.count(), 10);
    }
}

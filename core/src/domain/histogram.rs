//! How long things took: counts of whole milliseconds in buckets that are narrow where the values
//! are small, so that any two histograms can be added and a quantile of the sum is still known
//! within a few percent.

/// An octave is cut into 2⁵ buckets: a bucket is at most 1⁄32 of its values wide, and its middle
/// at most 1.6 % from any of them. Values below 2⁵ have a bucket each.
const OCTAVE_BITS: u32 = 5;
const OCTAVE: u32 = 1 << OCTAVE_BITS;
/// The bucket of [`u32::MAX`].
const BUCKET_MAX: u16 = 895;
/// Bits of a byte that hold a part of a number; the eighth says that more follows.
const PART_BITS: u32 = 7;

/// Counts by bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// Each bucket that has any, and how many, in order. Real latencies fill a few dozen.
    counts: Vec<(u16, u64)>,
}

/// Bytes are not what [`Histogram::to_bytes`] writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("these bytes are no histogram")]
pub struct NoHistogram;

impl Histogram {
    pub fn record(&mut self, millis: u32) {
        self.add(bucket(millis), 1);
    }

    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.counts {
            self.add(bucket, count);
        }
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The value below or at which `percent` of a hundred lie, by nearest rank; `None` where
    /// nothing was recorded.
    #[must_use]
    pub fn quantile(&self, percent: u8) -> Option<u32> {
        let rank = (u128::from(self.count()) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0_u128;
        let found = self.counts.iter().find(|(_, count)| {
            seen += u128::from(*count);
            seen >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }

    /// For each bucket its distance from the one before and its count, as numbers in base 128 of
    /// as many bytes as they need, the low parts first: two or three bytes for a bucket.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.counts.len() * 3);
        let mut before = 0;
        for &(bucket, count) in &self.counts {
            write(&mut bytes, u64::from(bucket - before));
            write(&mut bytes, count);
            before = bucket;
        }
        bytes
    }

    /// Adds what [`Histogram::to_bytes`] wrote.
    ///
    /// # Errors
    /// Something else wrote it; a part may have been added.
    pub fn merge_bytes(&mut self, mut bytes: &[u8]) -> Result<(), NoHistogram> {
        let mut bucket = 0_u16;
        while !bytes.is_empty() {
            let distance = u16::try_from(read(&mut bytes)?).map_err(|_| NoHistogram)?;
            bucket = bucket.checked_add(distance).filter(|at| *at <= BUCKET_MAX).ok_or(NoHistogram)?;
            self.add(bucket, read(&mut bytes)?);
        }
        Ok(())
    }

    fn add(&mut self, bucket: u16, count: u64) {
        match self.counts.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(count),
            Err(place) => self.counts.insert(place, (bucket, count)),
        }
    }
}

fn bucket(millis: u32) -> u16 {
    if millis < OCTAVE {
        return u16::try_from(millis).expect("it is below 32");
    }
    let shift = millis.ilog2() - OCTAVE_BITS;
    let bucket = OCTAVE * (shift + 1) + ((millis >> shift) - OCTAVE);
    u16::try_from(bucket).expect("the last is 895")
}

/// The value in the middle of a bucket.
fn middle(bucket: u16) -> u32 {
    let bucket = u32::from(bucket);
    if bucket < OCTAVE {
        return bucket;
    }
    let shift = bucket / OCTAVE - 1;
    let lowest = (OCTAVE + bucket % OCTAVE) << shift;
    lowest + ((1 << shift) - 1) / 2
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let part = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= PART_BITS;
        if number == 0 {
            return bytes.push(part);
        }
        bytes.push(part | 0x80);
    }
}

fn read(bytes: &mut &[u8]) -> Result<u64, NoHistogram> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(PART_BITS as usize) {
        let (&byte, rest) = bytes.split_first().ok_or(NoHistogram)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(NoHistogram);
        }
        number |= part << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(NoHistogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u32]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    /// Latencies of every magnitude.
    fn any_latencies() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec((any::<u32>(), 0..32_u32).prop_map(|(value, bits)| value >> bits), 0..300)
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_two_percent(mut values in any_latencies(), percent in 1..=100_u8) {
            let found = of(&values).quantile(percent);
            values.sort_unstable();
            let rank = (values.len() * usize::from(percent)).div_ceil(100).max(1);
            let truth = values.get(rank - 1).copied();
            prop_assert_eq!(found.is_some(), truth.is_some());
            if let (Some(found), Some(truth)) = (found, truth) {
                prop_assert!(u64::from(found.abs_diff(truth)) * 50 <= u64::from(truth), "{} {}", found, truth);
            }
        }

        #[test]
        fn parts_add_up_to_the_whole(one in any_latencies(), other in any_latencies()) {
            let whole = of(&[one.clone(), other.clone()].concat());
            let mut merged = of(&one);
            merged.merge(&of(&other));
            prop_assert_eq!(&merged, &whole);
            let mut read = Histogram::default();
            for part in [&other, &one] {
                read.merge_bytes(&of(part).to_bytes()).expect("a histogram");
            }
            prop_assert_eq!(&read, &whole);
            prop_assert_eq!(whole.count(), (one.len() + other.len()) as u64);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Histogram::default().merge_bytes(&bytes);
        }
    }

    #[test]
    fn every_bucket_follows_the_one_before() {
        assert_eq!((bucket(0), bucket(31), bucket(32), bucket(u32::MAX)), (0, 31, 32, BUCKET_MAX));
        for at in 0..=BUCKET_MAX {
            assert_eq!(bucket(middle(at)), at);
        }
        for bits in 5..32 {
            let edge = 1_u32 << bits;
            assert_eq!(bucket(edge - 1) + 1, bucket(edge), "{edge}");
        }
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let mut full = Histogram::default();
        full.add(BUCKET_MAX, u64::MAX);
        let bytes = full.to_bytes();
        let mut twice = full.clone();
        twice.merge_bytes(&bytes).expect("a histogram");
        assert_eq!(twice, full, "a count ends at the largest");
        for cut in 1..bytes.len() {
            assert_eq!(Histogram::default().merge_bytes(&bytes[..cut]), Err(NoHistogram));
        }
        assert_eq!(Histogram::default().merge_bytes(&[0x80, 0x07, 1]), Err(NoHistogram), "bucket 896");
        assert_eq!(
            Histogram::default().merge_bytes(&[[0xff; 9].as_slice(), &[2]].concat()),
            Err(NoHistogram)
        );
    }
}

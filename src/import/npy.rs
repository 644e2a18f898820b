//! Arrays of a model folder in NumPy's format, as they are written.

/// Returns labels in NumPy's format, of the narrowest elements that hold them.
pub fn labels_npy(labels: &[u32]) -> Vec<u8> {
    let shape = [labels.len()];
    let largest = labels.iter().copied().max().unwrap_or(0);
    if u8::try_from(largest).is_ok() {
        let bytes: Vec<u8> = labels.iter().map(|&label| label as u8).collect();
        npy(&shape, "|u1", &bytes)
    } else if u16::try_from(largest).is_ok() {
        let bytes = labels
            .iter()
            .flat_map(|&label| (label as u16).to_le_bytes());
        npy(&shape, "<u2", &bytes.collect::<Vec<u8>>())
    } else {
        let bytes = labels.iter().flat_map(|label| label.to_le_bytes());
        npy(&shape, "<u4", &bytes.collect::<Vec<u8>>())
    }
}

/// Returns an array in NumPy's format, version 1.0.
pub fn npy(shape: &[usize], description: &str, data: &[u8]) -> Vec<u8> {
    const ALIGNMENT: usize = 64;
    let axes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header =
        format!("{{'descr': '{description}', 'fortran_order': False, 'shape': ({axes}), }}");
    let magic = b"\x93NUMPY\x01\x00";
    let unpadded = magic.len() + 2 + header.len() + 1;
    let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
    let length = (header.len() + padding + 1) as u16;
    let mut bytes = magic.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(b' ', padding));
    bytes.push(b'\n');
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_take_the_narrowest_elements() {
        for (largest, description, width) in [
            (255, "'|u1'", 1),
            (256, "'<u2'", 2),
            (65_535, "'<u2'", 2),
            (65_536, "'<u4'", 4),
        ] {
            let bytes = labels_npy(&[0, largest]);
            let header = String::from_utf8_lossy(&bytes[10..]);
            assert!(header.contains(description), "{largest}: {header}");
            let (_, last) = bytes.split_at(bytes.len() - width);
            assert_eq!(last, &largest.to_le_bytes()[..width], "{largest}");
            assert_eq!(bytes.len() % 64, 2 * width, "{largest}");
        }
    }
}
